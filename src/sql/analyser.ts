import { DbgateError } from '../errors.ts'
import { BigStack } from './big-stack.ts'
import { concludeAll, dependsOnScope } from './conclude.ts'
import { BUILTIN_LOOKUP } from './lookup.ts'
import { Memo } from './memo.ts'
import { compileParser, openParser, type Parser, ParserTrap } from './parser.ts'
import { type Reading, readStatements } from './read.ts'
import type { Scope } from './scope.ts'
import type { Analysis } from './statement.ts'

export type AnalyserOptions = {
  /** Larger texts are refused unread. */
  readonly maxBytes?: number
  /** Larger texts are read in a thread of their own, so that they hold up nobody else. */
  readonly maxSyncBytes?: number
  readonly timeLimitMs?: number
  readonly stackSizeMb?: number
  readonly maxMemoEntries?: number
  readonly maxMemoBytes?: number
}

const DEFAULTS: Required<AnalyserOptions> = {
  maxBytes: 1024 * 1024,
  maxSyncBytes: 32 * 1024,
  timeLimitMs: 5000,
  stackSizeMb: 16,
  maxMemoEntries: 8192,
  maxMemoBytes: 32 * 1024 * 1024,
}

/** WASM memory never shrinks: an instance that has grown beyond this is replaced. */
const MAX_PARSER_BYTES = 512 * 1024 * 1024

/** What facts weigh in the memo beside the text, measured roughly. */
const BYTES_OF_STATEMENT = 4000

const MAX_WAITING = 64

/** What is remembered of a text. Results that depend on a session's scope die with that scope. */
type Remembered = {
  readonly reading: Reading
  /** What it comes to for every session, unless it depends on a session's names. */
  analysis: Analysis | undefined
  readonly byScope: WeakMap<Scope, Analysis>
}

/**
 * Says what statements do. Owns a parser instance, a thread for monsters, and a memo of the texts seen.
 *
 * `analyse` answers at once, but for: a text too large or too deep for this thread, and the moments in which a parser is being
 * opened (at the start, and after one broke).
 */
export class Analyser {
  readonly #options: Required<AnalyserOptions>
  readonly #module: WebAssembly.Module
  readonly #memo: Memo<Remembered>
  readonly #bigStack: BigStack
  #parser: Parser | undefined
  #opening: Promise<void> | undefined
  #closed = false

  constructor(options: AnalyserOptions) {
    this.#options = { ...DEFAULTS, ...options }
    this.#module = compileParser()
    this.#memo = new Memo(this.#options.maxMemoEntries, this.#options.maxMemoBytes)
    const { stackSizeMb, timeLimitMs } = this.#options
    this.#bigStack = new BigStack({
      module: this.#module,
      stackSizeMb,
      timeLimitMs,
      maxWaiting: MAX_WAITING,
    })
    this.#replace()
  }

  /** Resolves once `analyse` can answer at once. */
  async ready(): Promise<void> {
    while (this.#opening !== undefined) await this.#opening
  }

  /**
   * Analyses SQL text, the bytes exactly as they came.
   *
   * The result is shared with every session that sends the same text. Never throws for a text: what can't be read is
   * `ok: false`, and nothing of it may run.
   *
   * Ownership: the bytes are read before the call returns, or copied.
   * Throws: INTERNAL (XX000) after close().
   */
  analyse(text: Buffer, scope: Scope): Analysis | Promise<Analysis> {
    if (this.#closed) throw new DbgateError('INTERNAL', 'analyser is closed')
    const { maxBytes, maxSyncBytes } = this.#options
    if (text.length > maxBytes) return tooLarge(maxBytes)
    const key = text.toString('latin1')
    const remembered = this.#memo.get(key)
    if (remembered !== undefined) return analysisIn(remembered, scope)
    if (text.length > maxSyncBytes) return this.#analyseApart(key, text, scope)
    if (this.#parser === undefined) return this.#analyseLater(Buffer.from(text), scope)
    const reading = this.#readHere(this.#parser, text)
    if (reading === undefined) return this.#analyseApart(key, text, scope)
    return analysisIn(this.#remember(key, reading), scope)
  }

  /** Ends the thread for monsters; nothing can be analysed any more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#memo.clear()
    this.#parser = undefined
    await this.#opening
    await this.#bigStack.close()
  }

  /** Reads in this thread; undefined when that was too much for it. */
  #readHere(parser: Parser, text: Buffer): Reading | undefined {
    try {
      const reading = readStatements(parser, text)
      if (parser.heapBytes > MAX_PARSER_BYTES) this.#replace()
      return reading
    } catch (thrown) {
      if (parser.trapped) this.#replace()
      if (thrown instanceof ParserTrap || thrown instanceof RangeError) return undefined
      throw new DbgateError('INTERNAL', 'statement could not be analysed', { cause: thrown })
    }
  }

  async #analyseApart(key: string, text: Buffer, scope: Scope): Promise<Analysis> {
    const reading = await this.#bigStack.read(Buffer.from(text))
    return analysisIn(this.#remember(key, reading), scope)
  }

  async #analyseLater(text: Buffer, scope: Scope): Promise<Analysis> {
    await this.ready()
    if (this.#parser !== undefined || this.#closed) return this.analyse(text, scope)
    // It could not be opened: the other thread says why not, and the next text tries again.
    this.#replace()
    return this.#analyseApart(text.toString('latin1'), text, scope)
  }

  /** A refusal for want of time or threads may not hold for the next attempt, so that it is not kept. */
  #remember(key: string, reading: Reading): Remembered {
    const remembered: Remembered = { reading, analysis: undefined, byScope: new WeakMap() }
    if (reading.ok || reading.error.reason !== 'parser-failed') {
      const count = reading.ok ? reading.statements.length : 1
      this.#memo.set(key, remembered, key.length + count * BYTES_OF_STATEMENT)
    }
    return remembered
  }

  #replace(): void {
    this.#parser = undefined
    this.#opening ??= openParser(this.#module).then(
      parser => {
        this.#parser = parser
        this.#opening = undefined
      },
      // Without a parser every text is refused, by the thread's answer.
      () => {
        this.#opening = undefined
      },
    )
  }
}

function analysisIn(remembered: Remembered, scope: Scope): Analysis {
  const { reading, byScope } = remembered
  if (!reading.ok) return reading
  const known = remembered.analysis ?? byScope.get(scope)
  if (known !== undefined) return known
  const statements = concludeAll(
    reading.statements,
    () => BUILTIN_LOOKUP,
    scope,
    same => same,
  )
  const analysis: Analysis = { ok: true, statements }
  if (reading.statements.some(dependsOnScope)) byScope.set(scope, analysis)
  else remembered.analysis = analysis
  return analysis
}

function tooLarge(maxBytes: number): Analysis {
  const message = `statement is larger than ${maxBytes} bytes`
  return { ok: false, error: { message, position: undefined, reason: 'too-large' } }
}

/** Makes an analyser. It answers at once from `ready()` on, and with promises before. */
export function createAnalyser(options: AnalyserOptions = {}): Analyser {
  return new Analyser(options)
}
