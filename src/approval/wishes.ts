import { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type { AccessRequest, ApprovalRequest, Person, Terms } from '../store/index.ts'
import { oneLine } from './comment.ts'
import type { Draft } from './ledger.ts'

/** A role on a target, for a while. */
export type Wish = {
  readonly target: string
  readonly role: string
  readonly forMs: number
  readonly reason: string | undefined
  readonly ticket: string | undefined
}

/** What the policy says of such wishes: `rule` is the place that says so. */
export type AccessTerms = {
  readonly rule: string
  readonly policy: string
  readonly maxMs: number
  readonly reason: 'required' | 'optional'
  readonly notify: readonly string[]
}

export type AskTerms = AccessTerms & { readonly approve: Terms }

/** `reviewers`: groups of those who have to look at it afterwards. */
export type BreakGlassTerms = AccessTerms & {
  readonly reviewWithinMs: number
  readonly reviewers: readonly string[]
}

/** Of what nobody is asked about. */
export const NOBODY: Terms = {
  requirements: [],
  by: [],
  need: 0,
  expiresMs: 0,
  presence: undefined,
}

/** The wish as it is kept. Throws: USAGE (22023) too long, or without the reason that is required. */
export function checkWish(
  wish: Wish,
  { maxMs, reason: need }: Pick<AccessTerms, 'maxMs' | 'reason'>,
): Wish {
  if (!(wish.forMs > 0 && wish.forMs <= maxMs)) {
    const { words, flag } = spanOf(maxMs)
    throw new DbgateError('USAGE', `at most ${words} for ${wish.role} on ${wish.target}`, {
      next: [`--for ${flag}`],
    })
  }
  const reason = oneLine(wish.reason)
  if (reason === undefined && need === 'required') {
    throw new DbgateError('USAGE', `${wish.role} on ${wish.target} needs a reason`, {
      next: ['--reason "INC-4021"'],
    })
  }
  return { ...wish, reason, ticket: oneLine(wish.ticket) }
}

/** The principal's own request for the same role that is in this state and was made in this way. */
export function mine(
  draft: Draft,
  principal: Principal,
  { target, role }: Wish,
  state: 'open' | 'approved',
  from: AccessRequest['from'],
): AccessRequest | undefined {
  const { issuer, subject } = principal
  const filter = {
    states: [state],
    kind: 'access',
    requester: { issuer, subject },
    target,
  } as const
  return draft.store
    .list({ ...filter, limit: -1 })
    .filter(isAccess)
    .map(request => draft.settle(request))
    .find(each => each.state === state && each.role === role && each.from === from)
}

/** A request as it is before anybody was asked. */
export function blank(
  draft: Draft,
  requester: Person,
  { target, role, forMs, reason, ticket }: Wish,
  { rule, policy, notify }: AccessTerms,
): AccessRequest {
  return {
    kind: 'access',
    state: 'open',
    id: draft.newId('g'),
    agent: '',
    from: 'request',
    ...{ requester, target, role, forMs, reason, ticket, rule, policy, notify },
    terms: NOBODY,
    votes: [],
    filedAt: draft.now,
    expiresAt: draft.now + forMs,
    decided: undefined,
    finished: undefined,
    review: undefined,
  }
}

/** Keeps a new request and says so. */
export function insert(draft: Draft, request: AccessRequest): AccessRequest {
  draft.tell({ what: 'filed', request })
  return draft.insert(request)
}

/** Gives what was asked without asking anybody. */
export function approveNow(
  draft: Draft,
  request: AccessRequest,
  by: Principal,
  why: string | undefined,
): AccessRequest {
  return draft.step(request, 'approve', {
    by: by.user,
    why,
    expiresAt: draft.now + request.forMs,
  })
}

export function isAccess(request: ApprovalRequest): request is AccessRequest {
  return request.kind === 'access'
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** As people read it, and as a flag takes it. */
function spanOf(ms: number): { readonly words: string; readonly flag: string } {
  const isHours = ms % HOUR_MS === 0
  const count = Math.floor(ms / (isHours ? HOUR_MS : MINUTE_MS))
  return { words: `${count} ${isHours ? 'h' : 'min'}`, flag: `${count}${isHours ? 'h' : 'm'}` }
}
