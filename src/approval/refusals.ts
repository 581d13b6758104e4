import { DbgateError } from '../errors.ts'
import type { ApprovalRequest, Terms } from '../store/index.ts'

/*
 * How a decision, or whatever else somebody wants to do with a request, is refused: messages for a terminal.
 */

/** No such request, or none that this person may know of. */
export function unknown(id: string): DbgateError {
  return new DbgateError('NOT_FOUND', `no request ${id}`, { next: ['dbgate requests'] })
}

/** Deciding takes a person of their own: neither a job nor a tool that acts for somebody. */
export function needsPerson(id: string): DbgateError {
  return new DbgateError('DENIED', 'approving needs a person', {
    detail: 'Neither a job nor an agent decides.',
    next: [`ask the user to run: dbgate approve ${id}`],
  })
}

export function ownRequest({ id, terms }: ApprovalRequest): DbgateError {
  return new DbgateError(
    'DENIED',
    `${id} is yours: somebody else in ${groups(terms)} has to decide`,
    {
      next: [`dbgate requests withdraw ${id}`],
    },
  )
}

export function notApprover({ id }: ApprovalRequest, terms: Terms): DbgateError {
  return new DbgateError('DENIED', `only ${groups(terms)} decides on ${id}`)
}

export function needsPresence({ id }: ApprovalRequest): DbgateError {
  return new DbgateError('PRESENCE', `approving ${id} needs a fresh sign-in`, {
    detail: 'Its rule asks for it, because a tool can type for whoever is signed in.',
  })
}

/** For whoever asks: in a terminal, or as the error of the statement. */
export function tooMany(user: string): DbgateError {
  return new DbgateError(
    'LIMIT',
    `dbgate: too many requests of ${user} wait for approval already, nothing was filed. Not run. Next: dbgate requests --mine`,
    { next: ['dbgate requests --mine'] },
  )
}

export function notYours({ id }: ApprovalRequest): DbgateError {
  return new DbgateError('DENIED', `${id} is not yours`, { next: [`dbgate deny ${id}`] })
}

/** It is too late for what was wanted: says what it is by now. */
export function stale(request: ApprovalRequest, now: number): DbgateError {
  return new DbgateError('STALE', `${request.id} ${became(request, now)}`, {
    next: [`dbgate requests show ${request.id}`],
  })
}

function became(request: ApprovalRequest, now: number): string {
  const { state, decided, finished, requester } = request
  const when = `${ago(finished?.at ?? decided?.at ?? now, now)} ago`
  const by = finished?.by === undefined ? '' : ` by ${finished.by}`
  const why = finished?.why === undefined ? '' : `: "${finished.why}"`
  switch (state) {
    case 'open':
      return 'is still open'
    case 'approved':
      return `was approved by ${decided?.by ?? 'nobody'} ${ago(decided?.at ?? now, now)} ago`
    case 'used':
      return `was approved by ${decided?.by ?? 'nobody'} and ran ${when}`
    case 'denied':
      return `was denied${by} ${when}${why}`
    case 'expired':
      return `expired ${when}; ${requester.user} would have to ask again`
    case 'withdrawn':
      return `was withdrawn${by} ${when}`
    case 'abandoned':
      return `was abandoned ${when}${why}`
    case 'ended':
      return `ended ${when}${by}${why}`
  }
}

/** The policy has changed since it was filed, and now denies it. */
export function deniedByPolicy(
  { id }: ApprovalRequest,
  rule: string,
  since: number,
  now: number,
): DbgateError {
  return new DbgateError(
    'STALE',
    `the policy changed ${ago(since, now)} ago; ${id} was judged again and is now denied by ${rule}`,
    { next: [`dbgate policy explain ${id}`] },
  )
}

/** `@dba or @sre-lead`. */
export function groups({ by }: Pick<Terms, 'by'>): string {
  return by.length === 0 ? 'nobody' : by.map(group => `@${group}`).join(' or ')
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** A span in its largest unit, as in `14 min`. */
export function ago(at: number, now: number): string {
  const ms = Math.max(0, now - at)
  if (ms < MINUTE_MS) return `${Math.round(ms / 1000)} s`
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`
  if (ms < 48 * HOUR_MS) return `${Math.floor(ms / HOUR_MS)} h`
  return `${Math.floor(ms / (24 * HOUR_MS))} d`
}
