import { createHash } from 'node:crypto'
import { join } from 'node:path'
import {
  type ApprovalEvent,
  Approvals,
  type Bound,
  bindingOf,
  type Filing,
  type PolicyNow,
  type Taker,
  type Voter,
} from '../../src/approval/index.ts'
import { DbgateError } from '../../src/errors.ts'
import type { Principal } from '../../src/identity/index.ts'
import type { NoteRecord } from '../../src/record/index.ts'
import { HoldStore, type Terms } from '../../src/store/index.ts'
import { temporaryDirectory } from '../record/builders.ts'

export const MINUTE = 60_000
export const START = Date.parse('2026-03-02T14:00:00Z')

/** Somebody at the company's issuer; the subject is made of the name. */
export function person(name: string, groups: readonly string[] = [], issuer = 'okta'): Principal {
  const subject = `${issuer}-${name}`
  return { issuer, subject, user: `${name}@acme.dev`, name, groups, expiresAt: START + 1e9 }
}

export const ana = person('ana', ['engineering', 'dba'])
export const lee = person('lee', ['support'])
export const ben = person('ben', ['dba'])
export const kim = person('kim', ['dba'])
export const sam = person('sam', ['sre-lead'])

export function terms(by: readonly string[] = ['dba'], need = 1, more: Partial<Terms> = {}): Terms {
  const requirements = [{ rule: 'prod-writes', by, need }]
  return { requirements, by, need, expiresMs: 15 * MINUTE, presence: undefined, ...more }
}

export function bound(text = 'DELETE FROM orders', more: Partial<Bound> = {}): Bound {
  return {
    principal: ana,
    target: 'prod',
    role: 'writer',
    database: 'app',
    text: Buffer.from(text),
    parameters: [],
    parameterTypes: [],
    scope: { search_path: 'public' },
    ...more,
  }
}

export function filing(
  text?: string,
  more: Partial<Filing> & { readonly where?: Partial<Bound> } = {},
): Filing {
  const { where, ...rest } = more
  const principal = rest.principal ?? ana
  const what = bound(text, { principal, ...where })
  return {
    bound: what,
    principal,
    shown: {
      session: 's-8k2m',
      application: 'psql',
      text: Buffer.from(what.text).toString(),
      textBase64: undefined,
      parameters: [],
      statements: [{ kind: 'DELETE', class: 'write', relations: [] }],
      inTransaction: false,
      rowsEstimate: 840,
    },
    agent: 'claude',
    rule: 'prod-writes',
    reason: 'a write in production',
    terms: terms(),
    policy: 'p1',
    notify: ['db-approvals'],
    isOnLine: false,
    ...rest,
  }
}

export function voter(principal: Principal, more: Partial<Voter> = {}): Voter {
  return { principal, presence: false, isAgent: false, ...more }
}

export function taker(more: Partial<Taker> = {}): Taker {
  return { session: 's-8k2m', terms: terms(), ...more }
}

/** The policy that everything is filed under. */
export const p1: PolicyNow = {
  id: 'p1',
  since: START,
  rejudge: () => {
    throw new Error('the policy has not changed')
  },
}

/** A clock that is set by hand, with timers that run when it gets there. */
export class HandClock {
  time = START
  #timers = new Set<{ readonly at: number; readonly run: () => void }>()

  readonly now = () => this.time

  readonly after = (ms: number, run: () => void) => {
    const timer = { at: this.time + ms, run }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  get timers(): number {
    return this.#timers.size
  }

  /** Goes on by so much and runs what comes by. */
  pass(ms: number): void {
    const end = this.time + ms
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at)
      if (next === undefined || next.at > end) break
      this.#timers.delete(next)
      this.time = Math.max(this.time, next.at)
      next.run()
    }
    this.time = end
  }
}

/** The audit log in memory. Refuses everything while `isFull`. */
export class MemoryLog {
  readonly records: NoteRecord[] = []
  isFull = false

  readonly append = (...records: readonly NoteRecord[]) => {
    if (this.isFull) throw new DbgateError('UNAUDITED', 'audit log cannot be written')
    this.records.push(...records)
  }

  readonly note = (record: NoteRecord) => void this.records.push(record)

  get types(): readonly string[] {
    return this.records.map(({ type }) => type)
  }
}

/** Random bytes that are the same each time. */
export function repeatable(seed: number): (bytes: number) => Uint8Array {
  let count = 0
  return bytes => createHash('sha256').update(`${seed} ${count++}`).digest().subarray(0, bytes)
}

/** Approvals with a store in a directory of its own. */
export class Desk {
  readonly #dir = temporaryDirectory()
  readonly file = join(this.#dir.path, 'holds.sqlite')
  readonly clock = new HandClock()
  readonly log = new MemoryLog()
  readonly events: ApprovalEvent[] = []
  store!: HoldStore
  approvals!: Approvals
  #starts = 0

  constructor() {
    this.start()
  }

  /** As a server does: what was open before is closed first, as if it had been killed. */
  start(): void {
    if (this.#starts > 0) this.store.close()
    this.store = HoldStore.open(this.file)
    this.approvals = new Approvals({
      store: this.store,
      clock: this.clock,
      log: this.log,
      random: repeatable(this.#starts++),
      listener: event => void this.events.push(event),
      failed: error => {
        throw error
      },
    })
  }

  get what(): readonly string[] {
    return this.events.map(({ what }) => what)
  }

  /** Files a statement and has Ben approve it. Returns its id. */
  async approved(text?: string, more: Parameters<typeof filing>[1] = {}): Promise<string> {
    const { hold } = this.approvals.holds.file(filing(text, more))
    await this.approvals.decide({ id: hold.id, vote: 'approve' }, voter(ben), p1)
    return hold.id
  }

  take(text?: string, more: Partial<Bound> = {}, as: Partial<Taker> = {}) {
    return this.approvals.holds.take(bindingOf(bound(text, more)), taker(as))
  }

  state(id: string): string | undefined {
    return this.store.find(id)?.state
  }

  close(): void {
    this.store.close()
    this.#dir[Symbol.dispose]()
  }
}

/** Asserts nothing by itself: the code of the error that `run` throws. */
export async function codeOf(run: () => unknown): Promise<string> {
  const error = await errorOf(run)
  return error.code
}

export async function errorOf(run: () => unknown): Promise<DbgateError> {
  try {
    await run()
  } catch (error) {
    if (error instanceof DbgateError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
