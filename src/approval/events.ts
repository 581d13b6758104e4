import type { NoteRecord } from '../record/index.ts'
import type { ApprovalRequest, Hold, Vote } from '../store/index.ts'

/**
 * What happened to a request, told once it is true and on disk. `filed` stands for new ones only; `judged`: the
 * policy had changed; `returned`: an approval that was taken and given back; `ran`: what came of the statement.
 */
export type ApprovalEvent =
  | {
      readonly what:
        | 'filed'
        | 'judged'
        | 'approved'
        | 'denied'
        | 'expired'
        | 'withdrawn'
        | 'abandoned'
        | 'ended'
        | 'reviewed'
      readonly request: ApprovalRequest
    }
  | { readonly what: 'voted'; readonly request: ApprovalRequest; readonly vote: Vote }
  | { readonly what: 'used' | 'returned' | 'ran'; readonly request: Hold }

/**
 * True for what gives somebody a right or leads to it: it must be on record before it is true. What takes a right
 * away happens whether or not the log can be written.
 */
export function isWidening(event: ApprovalEvent): boolean {
  if (event.what === 'voted') return event.vote.vote === 'approve'
  return event.what === 'filed' || event.what === 'approved'
}

/** What the audit log says about an event; undefined for what it has in another record already. */
export function recordOf(event: ApprovalEvent): NoteRecord | undefined {
  const { request } = event
  const { id, state } = request
  switch (event.what) {
    case 'filed':
      return filed(request)
    case 'judged': {
      const { policy, rule, terms } = request
      return { type: 'request.judged', id, policy, rule, by: terms.by, need: terms.need }
    }
    case 'voted': {
      const { vote, by, presence, comment } = event.vote
      const { user, issuer, subject } = by
      return { type: 'request.voted', id, vote, user, issuer, subject, presence, comment }
    }
    case 'used': {
      const { use } = event.request
      return { type: 'request.used', id, session: use?.session ?? '', statement: use?.statement }
    }
    case 'returned':
      return { type: 'request.returned', id, session: event.request.use?.session ?? '' }
    case 'reviewed': {
      const done = request.kind === 'access' ? request.review?.done : undefined
      if (done === undefined) return undefined
      return { type: 'request.reviewed', id, user: done.by.user, comment: done.comment }
    }
    case 'ran':
      return undefined // The statement has records of its own.
    default: {
      const mark = request.finished ?? request.decided
      const expires = state === 'approved' ? isoTime(request.expiresAt) : undefined
      return { type: 'request.settled', id, state, user: mark?.by, why: mark?.why, expires }
    }
  }
}

function filed(request: ApprovalRequest): NoteRecord {
  const { id, state, agent, target, role, rule, reason, terms } = request
  const { user, issuer, subject } = request.requester
  const asked = {
    ...{
      type: 'request.filed' as const,
      id,
      state,
      user,
      issuer,
      subject,
      agent,
      target,
      role,
      rule,
    },
    ...{ by: terms.by, need: terms.need, expires: isoTime(request.expiresAt), reason },
  }
  if (request.kind === 'access') {
    const { forMs, ticket, from, decided } = request
    return { ...asked, forMs, ticket, from, givenBy: from === 'admin' ? decided?.by : undefined }
  }
  const { session, database, text, textBase64, parameters } = request.statement
  const { binding } = request
  return { ...asked, session, database, binding, text, textBase64, parameters }
}

function isoTime(at: number): string {
  return new Date(at).toISOString()
}
