import { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type { AccessRequest, Person } from '../store/index.ts'
import { oneLine } from './comment.ts'
import { isFull, type Ledger } from './ledger.ts'
import {
  isApprover,
  isJob,
  isRequester,
  mayRead,
  maySame,
  personOf,
  type Viewer,
} from './people.ts'
import {
  needsPerson,
  notApprover,
  notYours,
  ownRequest,
  stale,
  tooMany,
  unknown,
} from './refusals.ts'
import {
  type AccessTerms,
  type AskTerms,
  approveNow,
  type BreakGlassTerms,
  blank,
  checkWish,
  insert,
  isAccess,
  mine,
  NOBODY,
  type Wish,
} from './wishes.ts'

/** A role that somebody has for a while. */
export type TimedGrant = {
  readonly id: string
  readonly target: string
  readonly role: string
  readonly expiresAt: number
  readonly from: 'request' | 'break-glass'
}

/** Roles for a while: asked for and approved, taken in an emergency, or given by an admin. */
export class Access {
  readonly #ledger: Ledger

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /**
   * Files a request for a role. One for the same role on the same target that is open already is returned instead.
   *
   * Throws: USAGE (22023) longer than the policy gives, or no reason; UNAUDITED, NO_STORE (58030).
   */
  request(
    principal: Principal,
    agent: string,
    wish: Wish,
    terms: AskTerms,
  ): { readonly request: AccessRequest; readonly isNew: boolean } {
    const checked = checkWish(wish, terms)
    return this.#ledger.write(draft => {
      const open = mine(draft, principal, wish, 'open', 'request')
      if (open !== undefined) return { request: open, isNew: false }
      if (isFull(draft, principal)) return tooMany(principal.user)
      const expiresAt = draft.now + terms.approve.expiresMs
      const asked = blank(draft, personOf(principal), checked, terms)
      const request = { ...asked, agent, terms: terms.approve, expiresAt }
      return { request: insert(draft, request), isNew: true }
    })
  }

  /**
   * Gives a role at once, to be looked at afterwards. One that is in force already is returned instead, so that
   * asking again does not make it last longer.
   *
   * Throws: USAGE longer than the policy gives, or no reason; DENIED a job; UNAUDITED, NO_STORE.
   */
  breakGlass(
    principal: Principal,
    agent: string,
    wish: Wish,
    terms: BreakGlassTerms,
  ): { readonly request: AccessRequest; readonly isNew: boolean } {
    if (isJob(principal)) throw new DbgateError('DENIED', 'breaking the glass needs a person')
    const checked = checkWish(wish, terms)
    return this.#ledger.write(draft => {
      const active = mine(draft, principal, wish, 'approved', 'break-glass')
      if (active !== undefined) return { request: active, isNew: false }
      const given = insert(draft, {
        ...blank(draft, personOf(principal), checked, terms),
        ...{ agent, from: 'break-glass' },
        terms: { ...NOBODY, by: terms.reviewers },
        review: { until: draft.now + terms.reviewWithinMs, done: undefined },
      })
      return { request: approveNow(draft, given, principal, 'break-glass'), isNew: true }
    })
  }

  /**
   * An admin gives a role to whoever has this name, from whatever issuer. That the giver is an admin is for the
   * caller to check.
   *
   * Throws: DENIED to oneself, or by a job; USAGE no reason; UNAUDITED, NO_STORE.
   */
  give(admin: Principal, user: string, wish: Wish, terms: AccessTerms): AccessRequest {
    const grantee: Person = { issuer: '', subject: '', user, name: user }
    if (isJob(admin) || maySame(grantee, admin)) {
      throw new DbgateError('DENIED', 'nobody gives a role to themselves')
    }
    const checked = checkWish(wish, terms)
    return this.#ledger.write(draft => {
      const given = insert(draft, { ...blank(draft, grantee, checked, terms), from: 'admin' })
      return approveNow(draft, given, admin, checked.reason)
    })
  }

  /** The roles that the principal has at `at`, besides those of the policy. */
  activeGrants(principal: Principal, at?: number): readonly TimedGrant[] {
    const now = this.#ledger.now()
    const { issuer, subject } = principal
    const byIdentity = { issuer, subject }
    const byName = { issuer: '', subject: '' }
    return [byIdentity, byName].flatMap(requester =>
      this.#ledger.store
        .list({ states: ['approved'], kind: 'access', requester, limit: -1 })
        .filter(isAccess)
        .filter(request => request.expiresAt > (at ?? now) && isRequester(request, principal))
        .map(timedGrant),
    )
  }

  /**
   * Ends a grant before its time: one's own, one that one could have approved, any as an admin.
   *
   * Throws: NOT_FOUND; DENIED; STALE it is not in force; NO_STORE.
   */
  end(id: string, by: Viewer & { readonly isAdmin: boolean }, why?: string): AccessRequest {
    const reason = oneLine(why)
    return this.#ledger.write(draft => {
      const request = draft.find(id)
      const { principal, isAdmin } = by
      if (request?.kind !== 'access' || !(isAdmin || mayRead(request, by))) return unknown(id)
      const mayEnd =
        isAdmin || isRequester(request, principal) || isApprover(request.terms, principal.groups)
      if (!mayEnd) return notYours(request)
      if (request.state !== 'approved') return stale(request, draft.now)
      return draft.step(request, 'end', { by: principal.user, why: reason })
    })
  }

  /**
   * Somebody has looked at what was done behind broken glass. The first who does so counts.
   *
   * Throws: NOT_FOUND; DENIED one's own, neither reviewer nor auditor, an agent; STALE reviewed already; USAGE no
   * comment.
   */
  review(
    id: string,
    reviewer: Viewer & { readonly isAgent: boolean },
    comment: string,
  ): AccessRequest {
    const said = oneLine(comment)
    if (said === undefined) throw new DbgateError('USAGE', 'a review needs a comment')
    const { principal, isAgent, isAuditor } = reviewer
    return this.#ledger.write(draft => {
      const request = draft.find(id)
      if (request?.kind !== 'access' || request.review === undefined) return unknown(id)
      const { review } = request
      if (isAgent || isJob(principal)) return needsPerson(id)
      if (maySame(request.requester, principal)) return ownRequest(request)
      const mayReview = isAuditor || isApprover(request.terms, principal.groups)
      if (!mayReview) return notApprover(request, request.terms)
      if (review.done !== undefined) {
        return new DbgateError('STALE', `${id} was reviewed by ${review.done.by.user}`)
      }
      const done = { by: personOf(principal), at: draft.now, comment: said }
      const reviewed = draft.put({ ...request, review: { ...review, done } })
      draft.tell({ what: 'reviewed', request: reviewed })
      return reviewed
    })
  }
}

/** As the policy takes it, for which a role that an admin gave is as good as one that was asked for. */
function timedGrant({ id, target, role, expiresAt, from }: AccessRequest): TimedGrant {
  return { id, target, role, expiresAt, from: from === 'break-glass' ? from : 'request' }
}
