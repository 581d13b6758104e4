import type { DbgateError } from '../errors.ts'

/**
 * Where a session is, from its first ReadyForQuery to its end. What the conversation with upstream is
 * waiting for is the exchange's business; this is about whether there still is a conversation.
 */
export type Phase =
  /** Statements flow. */
  | { readonly at: 'open' }
  /** A text is being read, or a person asked; what comes from downstream meanwhile is kept for later. */
  | { readonly at: 'judging'; readonly next: Exclude<Phase, { at: 'judging' | 'closed' }> }
  /** The session must end, and does so as soon as nothing is running and no transaction is open. */
  | { readonly at: 'leaving'; readonly error: DbgateError }
  /** Downstream has said its last word; upstream still answers. */
  | { readonly at: 'finishing' }
  | { readonly at: 'closed'; readonly reason: string }

type Judging = Extract<Phase, { at: 'judging' }>

export type PhaseEvent =
  | { readonly type: 'judging' | 'judged' }
  /** Nothing is running and no transaction is open. */
  | { readonly type: 'idle' }
  | { readonly type: 'downstream-ended' | 'downstream-lost' }
  /** `isExplained`: the server itself has said why, and the person has it. */
  | { readonly type: 'upstream-ended'; readonly isExplained: boolean; readonly error: DbgateError }
  | { readonly type: 'leave'; readonly error: DbgateError; readonly isIdle: boolean }
  | { readonly type: 'failed'; readonly error: DbgateError }

export type PhaseEffect =
  | { readonly do: 'resume-downstream' | 'end-upstream' }
  /** Ends both sides; `error` is told to the person first. */
  | { readonly do: 'close'; readonly error: DbgateError | null }

export type PhaseStep = { readonly phase: Phase; readonly effects: readonly PhaseEffect[] }

/** The session's one transition function: pure and total. An event that means nothing any more changes nothing. */
export function step(phase: Phase, event: PhaseEvent): PhaseStep {
  if (phase.at === 'closed') return { phase, effects: [] }
  switch (event.type) {
    case 'judging':
      if (phase.at === 'judging') return { phase, effects: [] }
      return { phase: { at: 'judging', next: phase }, effects: [] }
    case 'judged':
      if (phase.at !== 'judging') return { phase, effects: [] }
      return {
        phase: phase.next,
        effects: [{ do: phase.next.at === 'finishing' ? 'end-upstream' : 'resume-downstream' }],
      }
    case 'idle':
      return phase.at === 'leaving' ? close(phase.error.code, phase.error) : { phase, effects: [] }
    case 'downstream-ended':
      // What is being judged came before the end, and is still to be sent.
      if (phase.at === 'judging') return { phase: after(phase, { at: 'finishing' }), effects: [] }
      return phase.at === 'finishing'
        ? { phase, effects: [] }
        : { phase: { at: 'finishing' }, effects: [{ do: 'end-upstream' }] }
    case 'downstream-lost':
      return close('disconnect', null)
    case 'upstream-ended':
      if (phase.at === 'finishing') return close('end', null)
      return close('upstream', event.isExplained ? null : event.error)
    case 'leave':
      if (event.isIdle) return close(event.error.code, event.error)
      if (phase.at === 'judging' && phase.next.at === 'open')
        return { phase: after(phase, { at: 'leaving', error: event.error }), effects: [] }
      return phase.at === 'open'
        ? { phase: { at: 'leaving', error: event.error }, effects: [] }
        : { phase, effects: [] }
    case 'failed':
      return close(event.error.code, event.error)
    default:
      return event satisfies never
  }
}

function after(phase: Judging, next: Judging['next']): Judging {
  return { ...phase, next }
}

function close(reason: string, error: DbgateError | null): PhaseStep {
  return {
    phase: { at: 'closed', reason: reason.toLowerCase() },
    effects: [{ do: 'close', error }],
  }
}
