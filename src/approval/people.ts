import type { Principal } from '../identity/index.ts'
import { openRequirements } from '../policy/index.ts'
import type { ApprovalRequest, Person, Terms, Vote } from '../store/index.ts'

/** Who looks: `isAuditor` may see everything. */
export type Viewer = { readonly principal: Principal; readonly isAuditor: boolean }

/** The part of a principal that is kept. */
export function personOf({ issuer, subject, user, name }: Principal): Person {
  return { issuer, subject, user, name }
}

/**
 * True if two may be the same person: the same identity, or the same name from another issuer. To take two
 * people for one costs an approval; to take one for two would let somebody approve their own.
 */
export function maySame(
  one: Pick<Person, 'issuer' | 'subject' | 'user'>,
  other: typeof one,
): boolean {
  return hasIdentity(one, other) || folded(one.user) === folded(other.user)
}

/** True for who asked, and nobody who only has the same name, unless only a name is known. */
export function isRequester(
  request: Pick<ApprovalRequest, 'requester'>,
  principal: Pick<Principal, 'issuer' | 'subject' | 'user'>,
): boolean {
  const { requester } = request
  return requester.subject === ''
    ? requester.user === principal.user
    : hasIdentity(requester, principal)
}

function hasIdentity(one: Pick<Person, 'issuer' | 'subject'>, other: typeof one): boolean {
  return one.subject !== '' && one.subject === other.subject && one.issuer === other.issuer
}

function folded(user: string): string {
  return user.normalize('NFKC').toLowerCase()
}

/** True for somebody in one of the groups who decide, whoever asked. */
export function isApprover(terms: Terms, groups: readonly string[]): boolean {
  return groups.some(group => terms.by.includes(group))
}

/** True if this request waits for this person's word. */
export function waitsFor(request: ApprovalRequest, principal: Principal): boolean {
  return (
    request.state === 'open' &&
    isApprover(request.terms, principal.groups) &&
    !isJob(principal) &&
    !maySame(request.requester, principal) &&
    !request.votes.some(({ by }) => maySame(by, principal))
  )
}

/** True for a job's identity: deciding needs a person. No person's name has this form (`src/identity`). */
export function isJob(principal: Pick<Principal, 'user'>): boolean {
  return principal.user.startsWith('ci/')
}

/** Who may see a request: who asked, who decides or has decided, and auditors. */
export function mayRead(request: ApprovalRequest, { principal, isAuditor }: Viewer): boolean {
  return (
    isAuditor ||
    isRequester(request, principal) ||
    isApprover(request.terms, principal.groups) ||
    request.votes.some(({ by }) => hasIdentity(by, principal))
  )
}

/** The votes that count towards an approval under these terms: never the requester's, and one for each person. */
export function approvals(
  request: Pick<ApprovalRequest, 'requester' | 'votes'>,
  terms: Terms,
): readonly Vote[] {
  const counted: Vote[] = []
  for (const vote of request.votes) {
    if (vote.vote !== 'approve' || maySame(vote.by, request.requester)) continue
    if (terms.presence !== undefined && !vote.presence) continue
    if (!counted.some(({ by }) => maySame(by, vote.by))) counted.push(vote)
  }
  return counted
}

/** What these votes do not meet yet, each with how many persons it still takes; empty once it is approved. */
export function missing(
  request: Pick<ApprovalRequest, 'requester' | 'votes'>,
  terms: Terms,
): Terms['requirements'] {
  return openRequirements(terms, approvals(request, terms))
}
