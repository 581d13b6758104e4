import type { ApiClient, DecisionAnswer, RequestAnswer } from '../src/api/index.ts'
import { asDbgateError, DbgateError } from '../src/errors.ts'
import { type Terminal, visible } from '../src/terminal.ts'
import type { Io } from './io.ts'
import { usage } from './report.ts'
import { groupsOf, seconds } from './request-card.ts'
import { agentOf } from './signed-in.ts'
import { clockTime, span } from './times.ts'

/*
 * What approving and denying share.
 */

/** How long to look for what an approved statement does, if its client is still on the line. */
const RAN_MS = 10_000

/** Throws: DENIED where a tool types for the person. The server refuses as well. */
export async function refuseAgent(io: Io, id: string | undefined): Promise<void> {
  if ((await agentOf(io)) === undefined) return
  throw new DbgateError('DENIED', 'approving needs a person', {
    next: [`ask the user to run: dbgate approve ${id ?? ''}`.trimEnd()],
  })
}

/**
 * The request of that id, or the only one that waits for this person.
 *
 * Throws: NOT_FOUND; USAGE the start of an id, because deciding takes a whole one; USAGE none is named and it is
 * not clear which.
 */
export async function findWaiting(
  api: ApiClient,
  id: string | undefined,
  verb: string,
): Promise<RequestAnswer> {
  if (id === undefined) {
    const [only, ...others] = await api.requests({ which: 'decide' })
    if (only === undefined) throw new DbgateError('NOT_FOUND', 'nothing waits for you')
    if (others.length === 0) return api.request(only.id)
    throw new DbgateError('USAGE', `${others.length + 1} requests wait for you: which one?`, {
      next: [only, ...others].slice(0, 5).map(each => `dbgate ${verb} ${each.id}`),
    })
  }
  const request = await api.request(id)
  if (request.id === id.toLowerCase()) return request
  throw usage(`the whole id is needed to decide: ${request.id}`, verb)
}

/** The plan of a held statement in lines, or why there is none: a person can decide without it. */
export async function planLines(api: ApiClient, id: string): Promise<readonly string[]> {
  try {
    return await api.plan(id)
  } catch (cause) {
    const { message, detail } = asDbgateError(cause)
    return [message, ...(detail === undefined ? [] : [detail])]
  }
}

/** Lines of others below a card, made inert. */
export function indented(lines: readonly string[]): readonly string[] {
  return lines.map(line => `    ${visible(line)}`)
}

/** The request once its statement ran, where its client waits for that; else as it is. */
export async function waitUntilRan(
  api: ApiClient,
  { request }: DecisionAnswer,
): Promise<RequestAnswer> {
  const isRunning = request.state === 'approved' && request.statement?.isOnLine === true
  return isRunning ? api.waitFor(request.id, RAN_MS, 'ran') : request
}

/** Says what a decision came to. */
export function sayDecision(
  terminal: Terminal,
  { missing, request }: DecisionAnswer,
  now: RequestAnswer,
  at: number,
): void {
  terminal.say(`${terminal.marks.ok} ${visible(outcomeOf(missing, request, now, at))}`)
}

function outcomeOf(
  missing: DecisionAnswer['missing'],
  request: RequestAnswer,
  now: RequestAnswer,
  at: number,
): string {
  const { id, have, need, user, state, role, expiresAt, statement } = request
  if (state === 'denied') return `${id} denied`
  if (missing.length > 0) {
    const more = missing.map(each => `${each.need} more of ${groupsOf(each.by)}`).join(', and ')
    return `${have} of ${need}. Still needs ${more}.`
  }
  const ran = now.statement?.ran
  if (ran !== undefined) {
    return `${id} approved, it ran: ${ran.tag ?? ran.outcome} (${seconds(ran.durationMs)})`
  }
  const name = user.split('@')[0] ?? user
  return statement === undefined
    ? `${id} approved. ${name} is ${role} until ${clockTime(expiresAt, at)}.`
    : `${id} approved. ${name} has ${span(expiresAt - at)} to run it, once.`
}
