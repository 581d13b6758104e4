import type { ApprovalRequest, Mark, RequestState } from '../store/index.ts'

/** What can happen to a request. Whether somebody may do it is decided elsewhere (`people.ts`). */
export type Step =
  | 'approve'
  | 'deny'
  | 'expire'
  | 'withdraw'
  | 'abandon'
  | 'use'
  | 'giveBack'
  | 'end'

type Life = Readonly<Record<RequestState, Partial<Readonly<Record<Step, RequestState>>>>>

const OVER = { denied: {}, expired: {}, withdrawn: {}, abandoned: {}, ended: {} } as const

/** The whole life of each kind of request: what is not here does not happen. */
const LIVES: Readonly<Record<ApprovalRequest['kind'], Life>> = {
  statement: {
    open: {
      approve: 'approved',
      deny: 'denied',
      expire: 'expired',
      withdraw: 'withdrawn',
      abandon: 'abandoned',
    },
    approved: { use: 'used', expire: 'expired', withdraw: 'withdrawn' },
    used: { giveBack: 'approved' },
    ...OVER,
  },
  access: {
    open: { approve: 'approved', deny: 'denied', expire: 'expired', withdraw: 'withdrawn' },
    approved: { expire: 'expired', end: 'ended' },
    used: {},
    ...OVER,
  },
}

/** The state a step leads to, or undefined where it can't happen. */
export function stateAfter(
  kind: ApprovalRequest['kind'],
  state: RequestState,
  step: Step,
): RequestState | undefined {
  return LIVES[kind][state][step]
}

/** True where time still matters: something is waited for, or something may still be done. */
export function isAlive(request: ApprovalRequest): boolean {
  return request.state === 'open' || request.state === 'approved'
}

/** True for what is alive but should not be any more. */
export function isDue(request: ApprovalRequest, now: number): boolean {
  return isAlive(request) && request.expiresAt <= now
}

/** Who or what makes a step, when and why. `expiresAt`: of the state that follows, where that is a new one. */
export type Cause = {
  readonly at: number
  readonly by?: string
  readonly why?: string | undefined
  readonly expiresAt?: number
}

/** The request after a step, or undefined where the step can't happen. */
export function advance<T extends ApprovalRequest>(
  request: T,
  step: Step,
  cause: Cause,
): T | undefined {
  const state = stateAfter(request.kind, request.state, step)
  if (state === undefined) return undefined
  const mark: Mark = { at: cause.at, by: cause.by, why: cause.why }
  return {
    ...request,
    state,
    expiresAt: cause.expiresAt ?? request.expiresAt,
    decided: step === 'approve' || step === 'deny' ? mark : request.decided,
    finished: state === 'approved' ? undefined : mark,
  }
}
