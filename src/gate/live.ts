import type { TargetConfig } from '../config/index.ts'
import { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type { Grant } from '../policy/index.ts'
import { visible } from '../terminal.ts'
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeNegotiateProtocolVersion,
  encodeReadyForQuery,
} from '../wire/index.ts'
import type { Session } from './session.ts'
import { pinsFor, type StartupPlan } from './startup-plan.ts'
import type { Upstream } from './upstream.ts'

/** Somebody at the door whose token has been verified. */
export type Visitor = {
  readonly principal: Principal
  /** The tool as it names itself; a claim, not a fact. */
  readonly agent: string
  readonly address: string
  readonly target: string
  /** The role asked for; undefined for the strongest one held. */
  readonly role: string | undefined
}

/** A session that is running, for lists and for whoever must end it. */
export type LiveSession = {
  readonly id: string
  readonly principal: Principal
  readonly agent: string
  readonly address: string
  readonly target: string
  readonly role: string
  readonly applicationName: string
  readonly startedAt: number
}

/** A session that is running, with all that the gate needs to find and to end it. */
export type Live = {
  principal: Principal
  /** When its grant was taken away; epoch milliseconds. */
  revokedAt: number | null
  readonly visitor: Visitor
  readonly target: TargetConfig
  readonly upstream: Upstream
  readonly session: Session
  readonly cancelKey: string
  readonly catalogKey: string
  readonly paceKey: string
  readonly view: Omit<LiveSession, 'principal'>
}

/** From AuthenticationOk to ReadyForQuery: what the person hears once the session is on file. */
export function greetingOf(plan: StartupPlan, upstream: Upstream, secret: Buffer): Buffer {
  const needsNegotiation = plan.unrecognised.length > 0 || plan.askedMinor > plan.minor
  return Buffer.concat([
    ...(needsNegotiation ? [encodeNegotiateProtocolVersion(plan.minor, plan.unrecognised)] : []),
    encodeAuthenticationOk(),
    ...upstream.greeting,
    encodeBackendKeyData(upstream.pid, secret),
    encodeReadyForQuery('I'),
  ])
}

/** Nobody new is let in. */
export function goingDown(): DbgateError {
  return new DbgateError('STARTING', 'dbgate: the server is going down')
}

/** The grant that the session was started under is gone. */
export function revoked({ target, view }: Live): DbgateError {
  return new DbgateError(
    'REVOKED',
    `dbgate: ${target.name} is no longer open to you as ${view.role}`,
  )
}

/** One answer for a target that is not there and one that is not granted: nobody learns which exist. */
export function noSuchTarget(name: string): DbgateError {
  return new DbgateError('NO_TARGET', `dbgate: no target "${name}" is open to you. Next: dbgate ls`)
}

/** True for two grants whose sessions start with the same settings from the gate. */
export function hasSamePins(one: Grant, other: Grant): boolean {
  const [pins, otherPins] = [pinsFor(one, undefined), pinsFor(other, undefined)]
  return (
    pins.size === otherPins.size &&
    [...pins].every(([name, value]) => otherPins.get(name) === value)
  )
}

/** The session's settings were made for what the role might do when it started. */
export function repinned({ target, view }: Live): DbgateError {
  return new DbgateError(
    'REVOKED',
    `dbgate: what ${view.role} may do on ${target.name} has changed. Next: connect again.`,
  )
}

/** Names the tools, busiest first: somebody has to know which to close. */
export function tooMany(live: readonly Live[], limit: number, where: string): DbgateError {
  const counts = new Map<string, number>()
  for (const { view } of live) {
    const tool = visible(view.applicationName || view.agent || 'unnamed')
    counts.set(tool, (counts.get(tool) ?? 0) + 1)
  }
  const tools = [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([tool, count]) => `${tool} ${count}`)
  const named = tools.length === 0 ? '' : ` (${tools.join(', ')})`
  return new DbgateError(
    'TOO_MANY',
    `dbgate: ${live.length} of ${limit} connections in use ${where}${named}. Close some.`,
  )
}

/** The same for one person, whatever token they show. */
export function personKey({ issuer, subject }: Principal): string {
  return JSON.stringify([issuer, subject])
}

/** The same for one person in one role on one target. */
export function keyOf({ issuer, subject }: Principal, { target, role }: Grant): string {
  return JSON.stringify([issuer, subject, target, role])
}

/** What a CancelRequest has to know. */
export function cancelKeyOf(pid: number, secret: Buffer): string {
  return `${pid}:${secret.toString('hex')}`
}

/** The same identity, whatever it is called by now. */
export function isSamePrincipal(left: Principal, right: Principal): boolean {
  return left.issuer === right.issuer && left.subject === right.subject
}
