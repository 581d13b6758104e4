/**
 * One downstream connection from accept to close: the state machine, the relay, and the only place where a
 * statement gets its permit.
 *
 * Invariant: nothing that runs a statement goes upstream without a permit, and a permit exists only for
 * what policy allowed and the audit log has on file. What runs is, byte for byte, what was judged.
 *
 *   tool          gate                                   audit log     PostgreSQL
 *    │  Query      │                                         │             │
 *    ├────────────►│ analyse → evaluate                      │             │
 *    │             ├── statement ───────────────────────────►│             │
 *    │             │◄────────────────────────────── on file ─┤             │
 *    │             ├── Query (permit spent) ──────────────────────────────►│
 *    │   rows      │◄───────────────────────────────────────── T D D D C Z ┤
 *    │◄────────────┤ each held against the response expected │             │
 *    │             ├── completed ───────────────────────────►│             │
 *    │  Query      │ denied                                  │             │
 *    ├────────────►├── denied ──────────────────────────────►│             │
 *    │             ├── a statement that fails for sure ───────────────────►│
 *    │   42501     │◄────────────────────────────────────────────────── E Z┤
 *    │◄────────────┤ its error replaced by ours              │             │
 *
 * Reading order: gate.ts (the door), session.ts (the relay), router.ts (each message), authorize.ts
 * (parse → evaluate → record → permit), clearance.ts and holding.ts (who has to agree), exchange.ts (what each
 * response answers), confidential.ts, masking.ts and run-mask.ts (what is masked), phase.ts (open to closed).
 */

export { serverOf } from './backends.ts'
export { type Database, openDatabase } from './database.ts'
export { createDirectListener, type DirectOptions } from './direct.ts'
export { Gate, type GateOptions, type GateReport } from './gate.ts'
export {
  type Asking,
  type Backend,
  listBackends,
  type Privileges,
  privilegesOf,
  strangersAmong,
} from './inspection.ts'
export type { LiveSession, Visitor } from './live.ts'
export type { SideConnection } from './side-connection.ts'
export { BypassWatch, type BypassWatchOptions } from './watch.ts'
