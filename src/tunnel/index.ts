/**
 * The local end: a port on the laptop that asks for its password and joins each client to a TLS
 * connection of its own to the server; a command run inside it; and a small client for `dbgate sql`.
 *
 * Invariants: it knows nothing of SQL or policy, because the laptop belongs to the one being governed;
 * nobody without the port's password gets a byte through; what passes is not looked at, not kept, not logged.
 *
 * ```
 *  client            local end                              server
 *    │ SSLRequest ──►  'N'
 *    │ Startup ─────►  kept
 *    │ ◄── SASL ────►  SCRAM-SHA-256, verifier made once
 *    │                 GET …/tunnel, Upgrade ─── TLS ───────►  token, grant
 *    │                 ◄───────────────────────  101           (often done before: kept ready)
 *    │ ◄── SASLFinal   Startup, as received ───────────────►  dials the database
 *    │ ◄───────────────────────────────────────  AuthenticationOk …
 *    │ ◄═══════════════ bytes, backpressure, half-close ═══►
 * ```
 */
export { detectAgent } from './agent.ts'
export {
  type ChildEnd,
  type ChildTunnel,
  childEnvironment,
  runChild,
  type SignalSource,
} from './child.ts'
export { Dialer, type DialerOptions, type Route, type Upstream } from './dial.ts'
export type { LinkEvent } from './link.ts'
export type { ListenerEvent, LocalClient } from './listen.ts'
export {
  connectionUrl,
  openTunnel,
  type Tunnel,
  type TunnelEvent,
  type TunnelOptions,
} from './open.ts'
export {
  type Greeting,
  greet,
  openQuery,
  type QueryOptions,
  query,
  type ResultColumn,
  type ResultSink,
  StatementFailed,
} from './query.ts'
export {
  announce,
  closeRunning,
  findRunning,
  listRunning,
  type Registration,
  type RunningTunnel,
} from './running.ts'
export type { SignIn, SignInEvent, Token } from './sign-in.ts'
