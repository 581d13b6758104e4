import { DbgateError } from '../errors.ts'
import { type Claim, spend } from './authorize.ts'
import type { Exchange, Expected } from './exchange.ts'
import type { OutputRun } from './output-run.ts'
import { FAILING_PARSE, FAILING_QUERY, refusalOf } from './refusal.ts'

type Step = {
  buf: Buffer
  start: number
  end: number
  expected: Expected | 'copy-end' | null
  readonly claim: Claim | null
}

/**
 * What one read from downstream turns into: bytes for upstream in order, each with the response it will
 * cause. Statements in it are claims until the audit log has them all; only then anything is sent.
 */
export class Turn {
  #steps: Step[] = []
  #claims: Claim[] = []
  #cycles = 0
  #hasSync = false

  /** Syncs and Queries in this turn. */
  get cycles(): number {
    return this.#cycles
  }

  /** A Sync stands in this turn: what comes behind it is not skipped. */
  get hasSync(): boolean {
    return this.#hasSync
  }

  get isEmpty(): boolean {
    return this.#steps.length === 0
  }

  /** Claims that must be on file before `forward`. */
  get claims(): readonly Claim[] {
    return this.#claims
  }

  /**
   * Adds `buf[start..end)`. Ownership: the turn keeps the range until `forward`.
   *
   * Throws: INTERNAL (XX000) for a statement without a claim: our bug.
   *
   * @param claim the statement that these bytes run, if they run one
   */
  add(
    buf: Buffer,
    start: number,
    end: number,
    expected: Expected | 'copy-end' | null,
    claim: Claim | null = null,
  ): void {
    if (claim !== null) this.#claims.push(claim)
    else if (isUnclaimed(expected)) {
      throw new DbgateError('INTERNAL', 'a statement was about to run without a record')
    }
    if (expected !== null && expected !== 'copy-end') {
      this.#hasSync ||= expected.kind === 'sync'
      if (expected.kind === 'sync' || expected.kind === 'query') this.#cycles += 1
    }
    const last = this.#steps.at(-1)
    if (expected === null && last?.expected === null && last.buf === buf && last.end === start) {
      last.end = end
      return
    }
    this.#steps.push({ buf, start, end, expected, claim })
  }

  /** Adds bytes of our own. */
  addOwn(bytes: Buffer, expected: Expected): void {
    this.add(bytes, 0, bytes.length, expected)
  }

  /** The claims did not get on file: what they would have run is refused with this error. */
  refuse(error: DbgateError): void {
    for (const step of this.#steps) {
      if (step.claim === null || step.expected === null || step.expected === 'copy-end') continue
      for (const run of step.claim.runs) run.isFinished = true
      const isQuery = step.expected.kind === 'query'
      step.buf = isQuery ? FAILING_QUERY : FAILING_PARSE
      step.start = 0
      step.end = step.buf.length
      step.expected = { ...step.expected, refusal: refusalOf(error) }
    }
    this.#claims = []
  }

  /** Forgets everything: nothing of it is sent. */
  clear(): void {
    this.#steps = []
    this.#claims = []
    this.#cycles = 0
    this.#hasSync = false
  }

  /**
   * Spends the permits, tells the exchange what to expect, and writes the bytes.
   *
   * Throws: INTERNAL (XX000) for a claim that was never committed.
   */
  forward(exchange: Exchange, output: OutputRun): void {
    for (const claim of this.#claims) spend(claim)
    const steps = this.#steps
    this.clear()
    for (const step of steps) {
      if (step.expected === 'copy-end') exchange.sentCopyEnd()
      else if (step.expected !== null) exchange.sent(step.expected)
      output.pass(step)
    }
    output.flush()
  }
}

/**
 * True for what runs a statement and brings neither a claim nor a refusal. An Execute may come without: it
 * runs the portal of a Bind, whose claim is the record.
 */
function isUnclaimed(expected: Expected | 'copy-end' | null): boolean {
  if (expected === null || expected === 'copy-end' || expected.refusal !== null) return false
  if (expected.kind === 'execute') return expected.portal === null
  return expected.kind === 'query' || expected.kind === 'bind'
}
