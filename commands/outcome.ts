import type { RequestAnswer } from '../src/api/index.ts'
import { DbgateError } from '../src/errors.ts'
import { stateOf } from './request-card.ts'

/**
 * Exit codes of waiting for a request: 0 approved, 5 denied, 8 still waiting, 9 over in another way.
 *
 * Throws: what is not approved, as the error that it is to a program.
 */
export function requireApproved(request: RequestAnswer, now: number): void {
  const { id, state, approvers } = request
  if (state === 'approved' || state === 'used') return
  const next = [`dbgate requests show ${id}`]
  if (state === 'open') {
    const groups = approvers.map(group => `@${group}`).join(' or ')
    throw new DbgateError('HELD', `${id} still waits for ${groups}`, {
      next: [`dbgate requests wait ${id}`],
    })
  }
  const what = `${id} ${stateOf(request, now)}`
  throw new DbgateError(state === 'denied' ? 'REJECTED' : 'STALE', what, { next })
}
