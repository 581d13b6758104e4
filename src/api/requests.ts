import type { Access, Approvals, ListFilter, PolicyNow } from '../approval/index.ts'
import { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type { Policy } from '../policy/index.ts'
import type { ApprovalRequest, Hold, RequestState } from '../store/index.ts'
import { type DeskTools, explainPolicy, irreversibleIn, supposed } from './policy-desk.ts'
import type { requestView } from './request-view.ts'
import { boolean, type JsonObject, maybe, number, text, texts } from './shape.ts'

/** What of the approvals the API needs; `Approvals` is one. */
export type ApprovalsApi = Pick<
  Approvals,
  'decide' | 'withdraw' | 'wait' | 'list' | 'get' | 'activeGrants'
> & { readonly access: Pick<Access, 'request' | 'breakGlass' | 'end' | 'review'> }

/** A call of one of these routes. `path` is what stands behind /api/v1/, decoded; `agent` is a claim. */
export type ApiCall = {
  readonly method: 'GET' | 'POST'
  readonly path: readonly string[]
  readonly query: URLSearchParams
  readonly body: JsonObject
  readonly principal: Principal
  readonly agent: string | undefined
  /** Aborted when whoever asked is gone. */
  readonly signal: AbortSignal
}

type Call = ApiCall & { readonly view: typeof requestView }

export type RequestsOptions = DeskTools & {
  readonly approvals: ApprovalsApi
  /** Asked anew each time: it may have been reloaded. */
  readonly policy: () => Policy
  readonly policyNow: () => PolicyNow
  readonly isAuditor: (principal: Principal) => boolean
  readonly environmentOf: (target: string) => string | undefined
  /** The plan of a held statement in lines; undefined where the planner must not be asked. */
  readonly planOf: (hold: Hold) => Promise<readonly string[] | undefined>
  /** Epoch milliseconds. */
  readonly now: () => number
}

/** How long one call may wait; whoever waits longer calls again. */
const MAX_WAIT_MS = 25_000
const DEFAULT_ACCESS_MS = 3_600_000
const WHICH = ['decide', 'mine', 'all', 'review'] as const
const KINDS = ['statement', 'access'] as const
const STATES = [
  'open',
  'approved',
  'used',
  'denied',
  'expired',
  'withdrawn',
  'abandoned',
  'ended',
] as const satisfies readonly RequestState[]

/** True for what `Requests` answers. */
export function isRequestsPath(path: readonly string[]): boolean {
  return ['requests', 'access', 'grants', 'policy'].includes(path[0] ?? '')
}

/** Answers what people ask about requests, roles for a while, and why the policy decides as it does. */
export class Requests {
  readonly #options: RequestsOptions

  constructor(options: RequestsOptions) {
    this.#options = options
  }

  /** Throws: NOT_FOUND no such route, or request; USAGE; what `Approvals` throws. */
  async answer(asked: ApiCall): Promise<unknown> {
    // Loaded here, because the client shares this folder and has no use for approvals and the parser.
    const call: Call = { ...asked, view: (await import('./request-view.ts')).requestView }
    const [first, id = '', verb] = call.path
    const route = [call.method, first, ...(call.path.length > 1 ? ['ID'] : []), verb]
    switch (route.filter(part => part !== undefined).join(' ')) {
      case 'GET requests':
        return this.#list(call)
      case 'GET requests ID':
        return this.#show(call, id)
      case 'POST requests ID plan':
        return this.#plan(call, id)
      case 'GET requests ID wait':
        return this.#wait(call, id)
      case 'POST requests ID approve':
        return this.#decide(call, id, 'approve')
      case 'POST requests ID deny':
        return this.#decide(call, id, 'deny')
      case 'POST requests ID withdraw':
        return this.#view(this.#options.approvals.withdraw(id, this.#viewer(call)), call)
      case 'POST requests ID review':
        return this.#review(call, id)
      case 'GET access':
        return this.#requestable(call)
      case 'POST access':
        return this.#access(call)
      case 'GET grants':
        return this.#grants(call)
      case 'POST grants ID end':
        return this.#end(call, id)
      case 'POST policy ID':
        if (id === 'explain') return this.#explain(call)
    }
    throw new DbgateError('NOT_FOUND', `no such route: ${call.method} ${call.path.join('/')}`)
  }

  #viewer({ principal }: Call) {
    return { principal, isAuditor: this.#options.isAuditor(principal) }
  }

  #view(request: ApprovalRequest, { principal, view }: Call): unknown {
    return view(request, principal)
  }

  #list(call: Call): unknown {
    const { query } = call
    const state = query.getAll('state').flatMap(each => each.split(','))
    const states = state.map(each => oneOf(each, STATES, 'state'))
    const kind = query.get('kind')
    const filter: ListFilter = {
      which: oneOf(query.get('which') ?? 'decide', WHICH, 'which'),
      ...(states.length === 0 ? {} : { states }),
      ...(kind === null ? {} : { kind: oneOf(kind, KINDS, 'kind') }),
    }
    const found = this.#options.approvals.list(this.#viewer(call), filter)
    return found.map(request => this.#view(request, call))
  }

  async #show(call: Call, id: string): Promise<unknown> {
    const request = this.#options.approvals.get(this.#viewer(call), id)
    return this.#whole(request, call)
  }

  /** With what cannot be undone in it, which takes the parser. */
  async #whole(request: ApprovalRequest, { principal, view }: Call): Promise<unknown> {
    if (request.kind === 'access') return view(request, principal)
    const { text, textBase64 } = request.statement
    const irreversible =
      textBase64 === undefined
        ? await this.#irreversible(text, request)
        : { word: 'UNREAD', why: 'its text is not UTF-8' }
    return view(request, principal, irreversible)
  }

  /** By the text alone, and then by what the schema adds to it: functions, rules, triggers, views. */
  async #irreversible(text: string, { target, role }: ApprovalRequest) {
    const { analyse, schemaOf } = this.#options
    const plain = irreversibleIn(await analyse(text))
    if (plain !== undefined) return plain
    const schema = await schemaOf(target, role)
    return schema === undefined ? undefined : irreversibleIn(await analyse(text, schema.catalog))
  }

  /** A plan says more than the statement: of the schema, and how many rows are where. Only who may decide sees it. */
  async #plan(call: Call, id: string): Promise<unknown> {
    const { approvals, policyNow, planOf } = this.#options
    const { principal, agent } = call
    const { waitsFor } = await import('../approval/index.ts')
    const found = approvals.get(this.#viewer(call), id)
    const policy = policyNow()
    const judged = found.policy === policy.id ? undefined : await policy.rejudge(found)
    const request = judged?.outcome === 'hold' ? { ...found, terms: judged.terms } : found
    const mayDecide = judged?.outcome !== 'deny' && waitsFor(request, principal)
    if (agent !== undefined || !mayDecide) {
      throw new DbgateError('DENIED', `only who may decide on ${found.id} sees its plan`)
    }
    if (request.kind === 'access') {
      throw new DbgateError('USAGE', `${found.id} asks for a role, which has no plan`)
    }
    const plan = await planOf(request)
    if (plan !== undefined) return { plan }
    throw new DbgateError('NOT_FOUND', `there is no plan of ${found.id}`, {
      detail:
        'Planning it could run code that nobody has agreed to, or its names may mean something else in its session.',
    })
  }

  async #wait(call: Call, id: string): Promise<unknown> {
    const { approvals } = this.#options
    const { query, signal } = call
    const timeoutMs = waitOf(query.get('timeout_ms'))
    const request = approvals.get(this.#viewer(call), id)
    const what = oneOf(query.get('for') ?? 'decided', ['decided', 'ran'] as const, 'for')
    const settled = await approvals.wait(request.id, { timeoutMs, signal, for: what })
    return this.#view(settled ?? request, call)
  }

  async #decide(call: Call, id: string, vote: 'approve' | 'deny'): Promise<unknown> {
    const { approvals, policyNow } = this.#options
    const { principal, agent, body } = call
    const comment = field(body, 'comment', text)
    if (vote === 'deny' && (comment ?? '').trim() === '') {
      throw new DbgateError('USAGE', `saying no to ${id} needs a reason`, {
        next: [`dbgate deny ${id} --reason "wrong table"`],
      })
    }
    const ballot = { id, vote, ...(comment === undefined ? {} : { comment }) }
    const presence = isFreshSignIn(principal, this.#options.now())
    const voter = { principal, presence, isAgent: agent !== undefined }
    const decision = await approvals.decide(ballot, voter, policyNow()).catch(cause => {
      throw cause instanceof DbgateError && cause.code === 'PRESENCE'
        ? notFresh(cause, principal, id)
        : cause
    })
    return {
      request: this.#view(decision.request, call),
      missing: decision.missing,
      is_counted: decision.isCounted,
    }
  }

  #review(call: Call, id: string): unknown {
    const reviewer = { ...this.#viewer(call), isAgent: call.agent !== undefined }
    const comment = field(call.body, 'comment', text) ?? ''
    return this.#view(this.#options.approvals.access.review(id, reviewer, comment), call)
  }

  /** The roles that this principal can ask for, or take in an emergency. */
  #requestable({ principal }: Call): unknown {
    const policy = this.#options.policy()
    const asked = policy.requestableBy(principal).map(({ target, role, may, maxMs, approve }) => ({
      ...{ target, role, may, max_ms: maxMs, approvers: approve.by, need: approve.need },
      break_glass: false,
    }))
    const taken = policy
      .breakGlassFor(principal)
      .map(({ target, role, may, maxMs, reviewers }) => ({
        ...{ target, role, may, max_ms: maxMs, approvers: reviewers, need: 0, break_glass: true },
      }))
    return [...asked, ...taken]
  }

  #access(call: Call): unknown {
    const { principal, agent, body } = call
    const { approvals, policy, policyNow } = this.#options
    const target = field(body, 'target', text) ?? ''
    const role = field(body, 'role', text) ?? ''
    const isBreakGlass = field(body, 'break_glass', boolean) ?? false
    const wish = {
      ...{ target, role },
      reason: field(body, 'reason', text),
      ticket: field(body, 'ticket', text),
    }
    const forMs = field(body, 'for_ms', number)
    const isWished = (each: { readonly target: string; readonly role: string }) =>
      each.target === target && each.role === role
    const termsOf = (found: { readonly at: readonly string[] }) => ({
      rule: `access (${found.at.join(', ')})`,
      policy: policyNow().id,
    })
    const spanOf = (maxMs: number) => forMs ?? Math.min(DEFAULT_ACCESS_MS, maxMs)
    if (isBreakGlass) {
      if (agent !== undefined) {
        throw new DbgateError('DENIED', 'breaking the glass needs a person', {
          next: ['ask the user to do it'],
        })
      }
      const found = policy().breakGlassFor(principal).find(isWished)
      if (found === undefined) throw notForYou(wish, 'take')
      const asked = { ...wish, forMs: spanOf(found.maxMs) }
      const made = approvals.access.breakGlass(principal, '', asked, {
        ...found,
        ...termsOf(found),
      })
      return { request: this.#view(made.request, call), is_new: made.isNew, told: found.notify }
    }
    const found = policy().requestableBy(principal).find(isWished)
    if (found === undefined) throw notForYou(wish, 'be asked for')
    const asked = { ...wish, forMs: spanOf(found.maxMs) }
    const terms = { ...found, ...termsOf(found) }
    const made = approvals.access.request(principal, agent ?? '', asked, terms)
    return { request: this.#view(made.request, call), is_new: made.isNew, told: found.notify }
  }

  #grants(call: Call): unknown {
    const { approvals } = this.#options
    const viewer = this.#viewer(call)
    if (call.query.has('all')) {
      const filter = { which: 'all', kind: 'access', states: ['approved'] } as const
      return approvals.list(viewer, filter).map(request => this.#view(request, call))
    }
    return approvals
      .activeGrants(call.principal)
      .map(({ id }) => this.#view(approvals.get(viewer, id), call))
  }

  #end(call: Call, id: string): unknown {
    const by = { ...this.#viewer(call), isAdmin: false }
    const reason = field(call.body, 'reason', text)
    return this.#view(this.#options.approvals.access.end(id, by, reason), call)
  }

  #explain(call: Call): Promise<unknown> {
    const { approvals, policy, environmentOf, now } = this.#options
    const { principal, body } = call
    const target = field(body, 'target', text) ?? ''
    const groups = field(body, 'groups', texts)
    const user = field(body, 'user', text)
    const isOther = groups !== undefined || user !== undefined
    if (isOther && !this.#options.isAuditor(principal)) {
      throw new DbgateError('DENIED', 'only auditors ask for others', {
        detail: 'What you may do yourself, you can always ask.',
      })
    }
    const at = field(body, 'at', text)
    const question = {
      target,
      sql: field(body, 'sql', text) ?? '',
      role: field(body, 'role', text),
      agent: field(body, 'agent', text) ?? call.agent,
      at: at === undefined ? now() : timeOf(at),
      environment: environmentOf(target),
    }
    return explainPolicy(
      policy(),
      isOther ? supposed(groups ?? [], user) : principal,
      question,
      this.#options,
      isOther ? undefined : { grants: approvals.activeGrants(principal), at: question.at },
    )
  }
}

function notForYou({ target, role }: { target: string; role: string }, what: string): DbgateError {
  const message =
    what === 'take'
      ? `${role} on ${target} cannot be had by breaking the glass, from your groups`
      : `nobody can be asked for ${role} on ${target} from your groups`
  return new DbgateError('DENIED', message, { next: ['dbgate whoami'] })
}

/** How long a sign-in shows that somebody is there. */
const FRESH_MS = 5 * 60_000
/** How far the provider's clock may be ahead. */
const CLOCK_MS = 60_000

/** True right after somebody has shown the provider who they are: a token that is renewed only says when that was. */
function isFreshSignIn({ authTime }: Principal, now: number): boolean {
  return authTime !== undefined && authTime <= now + CLOCK_MS && now - authTime <= FRESH_MS
}

function notFresh(cause: DbgateError, { authTime }: Principal, id: string): DbgateError {
  const detail =
    authTime === undefined
      ? 'The identity provider does not say when you signed in (claim auth_time). If it still does not after a fresh sign-in, nobody can approve this here until it does.'
      : 'You signed in more than 5 minutes ago.'
  return new DbgateError('PRESENCE', cause.message, {
    detail,
    next: [`dbgate approve ${id}`],
    cause,
  })
}

/** A field of a body. What does not fit is the caller's mistake. */
function field<T>(
  body: JsonObject,
  name: string,
  read: (value: unknown, where: string) => T,
): T | undefined {
  try {
    return maybe(body[name], name, read)
  } catch (cause) {
    throw new DbgateError('USAGE', `${name} is not what it should be`, { cause })
  }
}

function oneOf<T extends string>(given: string, allowed: readonly T[], name: string): T {
  const found = allowed.find(each => each === given)
  if (found !== undefined) return found
  throw new DbgateError('USAGE', `${name} is one of ${allowed.join(', ')}`, {
    detail: `It is ${JSON.stringify(given.slice(0, 40))}.`,
  })
}

function waitOf(given: string | null): number {
  const ms = Number(given ?? MAX_WAIT_MS)
  if (!Number.isFinite(ms) || ms < 0) {
    throw new DbgateError('USAGE', 'timeout_ms is a number of milliseconds')
  }
  return Math.min(ms, MAX_WAIT_MS)
}

function timeOf(given: string): number {
  const at = Date.parse(given)
  if (Number.isFinite(at)) return at
  throw new DbgateError('USAGE', `at is not a time: ${JSON.stringify(given.slice(0, 40))}`)
}
