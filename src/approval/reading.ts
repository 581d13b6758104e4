import { DbgateError } from '../errors.ts'
import type { ApprovalRequest, RequestState } from '../store/index.ts'
import type { Ledger } from './ledger.ts'
import { isApprover, mayRead, maySame, type Viewer, waitsFor } from './people.ts'
import { unknown } from './refusals.ts'

/**
 * Which requests: `decide` wait for this person's word, `review` are grants of break-glass they have to look at,
 * `mine` are their own, `all` is for auditors. Newest first.
 */
export type ListFilter = {
  readonly which: 'decide' | 'review' | 'mine' | 'all'
  readonly states?: readonly RequestState[]
  readonly kind?: ApprovalRequest['kind']
  readonly limit?: number
}

/** As much of an id as may stand for all of it: the kind and a letter. */
const MIN_PREFIX = 3
const LIMIT = 200

/**
 * Lists requests. Throws: DENIED (42501) `all`, by somebody who is no auditor; NO_STORE.
 */
export function listRequests(
  ledger: Ledger,
  viewer: Viewer,
  filter: ListFilter,
): readonly ApprovalRequest[] {
  const { principal, isAuditor } = viewer
  const { which, states, kind, limit = LIMIT } = filter
  const common = {
    ...(states === undefined ? {} : { states }),
    ...(kind === undefined ? {} : { kind }),
  }
  const { store } = ledger
  const now = ledger.now()
  const current = (requests: readonly ApprovalRequest[]) =>
    requests
      .map(request => (request.expiresAt <= now ? (ledger.find(request.id) ?? request) : request))
      .filter(request => states === undefined || states.includes(request.state))
  switch (which) {
    case 'decide':
      return current(store.list({ ...common, states: ['open'], limit: -1 }))
        .filter(request => waitsFor(request, principal))
        .slice(0, limit)
    case 'review':
      return current(store.list({ ...common, kind: 'access', limit: -1 }))
        .filter(request => awaitsReview(request, viewer))
        .slice(0, limit)
    case 'mine': {
      const { issuer, subject } = principal
      return current(store.list({ ...common, requester: { issuer, subject }, limit }))
    }
    case 'all':
      if (isAuditor) return current(store.list({ ...common, limit }))
      throw new DbgateError('DENIED', "only auditors see everybody's requests", {
        next: ['dbgate requests --mine'],
      })
  }
}

/**
 * Returns one request, by its id or the start of it if that is the start of no other. What somebody may not see
 * is not there.
 *
 * Throws: NOT_FOUND; USAGE (22023) the start of several; NO_STORE.
 */
export function getRequest(ledger: Ledger, viewer: Viewer, id: string): ApprovalRequest {
  const wanted = id.toLowerCase()
  const exact = ledger.find(wanted)
  if (exact !== undefined && mayRead(exact, viewer)) return exact
  if (wanted.length < MIN_PREFIX) throw unknown(id)
  const found = ledger.store.findByPrefix(wanted, LIMIT).filter(each => mayRead(each, viewer))
  const [only, ...others] = found
  if (only === undefined) throw unknown(id)
  if (others.length === 0) return ledger.find(only.id) ?? only
  throw new DbgateError('USAGE', `${id} is the start of ${found.length} requests`, {
    detail: found
      .slice(0, 5)
      .map(each => each.id)
      .join(', '),
  })
}

function awaitsReview(request: ApprovalRequest, { principal, isAuditor }: Viewer): boolean {
  return (
    request.kind === 'access' &&
    request.review !== undefined &&
    request.review.done === undefined &&
    !maySame(request.requester, principal) &&
    (isAuditor || isApprover(request.terms, principal.groups))
  )
}
