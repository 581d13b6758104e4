import type { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type { ApprovalRequest, Terms, Vote } from '../store/index.ts'
import { oneLine } from './comment.ts'
import type { Draft, Ledger } from './ledger.ts'
import { isApprover, isJob, maySame, missing, personOf } from './people.ts'
import {
  deniedByPolicy,
  needsPerson,
  needsPresence,
  notApprover,
  ownRequest,
  stale,
  unknown,
} from './refusals.ts'
import { type Judged, rejudge } from './rejudge.ts'

/**
 * Who decides: with their groups as of now, because those of last week may be gone.
 * `presence`: they have signed in afresh for this. `isAgent`: a tool does it for them.
 */
export type Voter = {
  readonly principal: Principal
  readonly presence: boolean
  readonly isAgent: boolean
}

/** One decision. `comment` is shown to who asked, in one line. */
export type Ballot = {
  readonly id: string
  readonly vote: 'approve' | 'deny'
  readonly comment?: string
}

/** The policy in force: its version, since when, and what it says of a request that was filed under another. */
export type PolicyNow = {
  readonly id: string
  readonly since: number
  readonly rejudge: (request: ApprovalRequest) => Judged | Promise<Judged>
}

/** What came of it. `missing`: what it still takes, empty once it is approved. `isCounted`: not said before. */
export type Decision = {
  readonly request: ApprovalRequest
  readonly missing: Terms['requirements']
  readonly isCounted: boolean
}

/**
 * Has a person's word on a request. A no counts at once; a yes once all that the terms require have said so.
 *
 * Judging again may wait for the parser; the decision itself is one change, in which everything is looked at
 * anew. Of two who decide at the same time, the second sees what the first did.
 *
 * Throws: NOT_FOUND; DENIED an agent or a job, one's own, not an approver; PRESENCE; STALE decided, expired or
 * withdrawn, or denied by the policy in force; USAGE the comment is too long; UNAUDITED, NO_STORE.
 */
export async function decide(
  ledger: Ledger,
  ballot: Ballot,
  voter: Voter,
  policy: PolicyNow,
): Promise<Decision> {
  const comment = oneLine(ballot.comment)
  const before = ledger.find(ballot.id)
  const isOld = before?.state === 'open' && before.policy !== policy.id
  const judged = isOld ? await policy.rejudge(before) : undefined
  return ledger.write(draft => {
    const found = draft.find(ballot.id)
    if (found === undefined) return unknown(ballot.id)
    // Filed again in between, and by that judged again.
    const still = found.policy === before?.policy ? judged : undefined
    const refused = refuseVoter(found, voter, still)
    if (refused !== undefined) return refused
    if (found.state !== 'open') return stale(found, draft.now)
    if (still?.outcome === 'deny') {
      const why = `the policy now denies it (${still.rule})`
      draft.step(draft.put({ ...found, policy: policy.id }), 'deny', { why })
      return deniedByPolicy(found, still.rule, policy.since, draft.now)
    }
    const request = underPolicy(draft, found, policy.id, still)
    return count(draft, request, voter, {
      ...ballot,
      ...(comment === undefined ? {} : { comment }),
    })
  })
}

function refuseVoter(
  request: ApprovalRequest,
  { principal, isAgent }: Voter,
  judged: Judged | undefined,
): DbgateError | undefined {
  if (isAgent || isJob(principal)) return needsPerson(request.id)
  if (maySame(request.requester, principal)) return ownRequest(request)
  const terms = judged?.outcome === 'hold' ? judged.terms : request.terms
  return isApprover(terms, principal.groups) ? undefined : notApprover(request, terms)
}

function underPolicy(
  draft: Draft,
  request: ApprovalRequest,
  policy: string,
  judged: Judged | undefined,
): ApprovalRequest {
  if (judged === undefined || judged.outcome === 'deny') return request
  const { rule, terms } = judged.outcome === 'hold' ? judged : request
  const next = rejudge(draft, shortened(request, judged), { rule, terms, policy })
  return draft.settle(next)
}

function shortened(request: ApprovalRequest, judged: Judged): ApprovalRequest {
  if (request.kind !== 'access' || judged.outcome !== 'hold') return request
  return { ...request, forMs: Math.min(request.forMs, judged.maxMs ?? request.forMs) }
}

function count(
  draft: Draft,
  request: ApprovalRequest,
  { principal, presence }: Voter,
  { vote, comment }: Ballot,
): Decision | DbgateError {
  if (request.state !== 'open') return stale(request, draft.now)
  if (vote === 'approve' && request.terms.presence !== undefined && !presence) {
    return needsPresence(request)
  }
  const by = personOf(principal)
  const cast: Vote = { by, groups: principal.groups, vote, at: draft.now, comment, presence }
  const others = request.votes.filter(each => !maySame(each.by, by))
  const voted = draft.put({ ...request, votes: [...others, cast] })
  draft.tell({ what: 'voted', request: voted, vote: cast })
  const isCounted = others.length === request.votes.length
  const cause = { by: principal.user, why: comment }
  if (vote === 'deny') {
    return { request: draft.step(voted, 'deny', cause), missing: [], isCounted }
  }
  const lacks = missing(voted, voted.terms)
  if (lacks.length > 0) return { request: voted, missing: lacks, isCounted }
  const lastsMs = voted.kind === 'access' ? voted.forMs : voted.terms.expiresMs
  const expiresAt = draft.now + lastsMs
  return { request: draft.step(voted, 'approve', { ...cause, expiresAt }), missing: [], isCounted }
}
