import type { Node } from 'libpg-query'
import { DbgateError } from '../errors.ts'
import { BigStack } from './big-stack.ts'
import type { Catalog } from './catalog.ts'
import { CatalogLookup } from './catalog-lookup.ts'
import { Concluder, dependsOnScope } from './conclude.ts'
import { Lineages } from './lineage.ts'
import type { Lineage } from './lineage-types.ts'
import { BUILTIN_LOOKUP, type Lookup } from './lookup.ts'
import { Memo } from './memo.ts'
import { compileParser, openParser, type Parser, ParserTrap } from './parser.ts'
import { type Reading, readStatements } from './read.ts'
import type { Scope } from './scope.ts'
import type { Analysis, Statement } from './statement.ts'
import { ParserMissing, StoredReader } from './stored.ts'

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
  maxSyncBytes: 16 * 1024,
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

/** Definitions in the database that break the parser, one after the other, for one statement. */
const MAX_ATTEMPTS = 8

/** What a reading came to, and under which circumstances. */
type Known = {
  readonly catalog: Catalog | undefined
  readonly searchPath: Scope['searchPath']
  readonly analysis: Analysis
}

/**
 * What is remembered of a text. A result that depends on a session's names dies with that session's
 * scope.
 */
type Remembered = {
  readonly reading: Reading
  readonly isScoped: boolean
  latest: Known | undefined
  readonly byScope: WeakMap<Scope, Known>
}

/**
 * Says what statements do. Owns a parser instance, a thread for monsters, and a memo of the texts
 * seen.
 *
 * `analyse` answers at once, but for: a text too large or too deep for this thread, and the moments
 * in which a parser is being opened (at the start, and after one broke).
 */
export class Analyser {
  readonly #options: Required<AnalyserOptions>
  readonly #module: WebAssembly.Module
  readonly #memo: Memo<Remembered>
  readonly #bigStack: BigStack
  readonly #concluder = new Concluder()
  readonly #stored: StoredReader
  readonly #lookups = new WeakMap<Catalog, CatalogLookup>()
  readonly #lineages: Lineages
  #parser: Parser | undefined
  #opening: Promise<void> | undefined
  #closed = false

  constructor(options: AnalyserOptions) {
    this.#options = { ...DEFAULTS, ...options }
    this.#module = compileParser()
    const { maxMemoEntries, maxMemoBytes, maxSyncBytes, stackSizeMb, timeLimitMs } = this.#options
    this.#memo = new Memo(maxMemoEntries, maxMemoBytes)
    this.#stored = new StoredReader(() => this.#parser, maxSyncBytes)
    this.#bigStack = new BigStack({
      module: this.#module,
      stackSizeMb,
      timeLimitMs,
      maxWaiting: MAX_WAITING,
    })
    this.#lineages = new Lineages({
      parse: text => this.#parseHere(text),
      lookup: (found, scope) => this.#catalogLookup(found, scope),
    })
    this.#replace()
  }

  /** Resolves once `analyse` can answer at once. */
  async ready(): Promise<void> {
    while (this.#opening !== undefined) await this.#opening
  }

  /**
   * Analyses SQL text, the bytes exactly as they came. A catalog says what the names in it stand
   * for.
   *
   * The result is shared with every session that sends the same text. Never throws for a text: what
   * can't be read is `ok: false`, and nothing of it may run.
   *
   * Ownership: the bytes are read before the call returns, or copied.
   * Throws: INTERNAL (XX000) after close().
   */
  analyse(text: Buffer, scope: Scope, catalog?: Catalog): Analysis | Promise<Analysis> {
    if (this.#closed) throw new DbgateError('INTERNAL', 'analyser is closed')
    const { maxBytes, maxSyncBytes } = this.#options
    if (text.length > maxBytes) return tooLarge(maxBytes)
    const key = text.toString('latin1')
    const remembered = this.#memo.get(key)
    if (remembered !== undefined) return this.#conclude(remembered, scope, catalog)
    if (text.length > maxSyncBytes) return this.#analyseApart(key, text, scope, catalog)
    if (this.#parser === undefined) return this.#analyseLater(Buffer.from(text), scope, catalog)
    const reading = this.#readHere(this.#parser, text)
    if (reading === undefined) return this.#analyseApart(key, text, scope, catalog)
    return this.#conclude(this.#remember(key, reading), scope, catalog)
  }

  /**
   * Says where everything comes from that a statement of this analyser returns, decides by and stores.
   *
   * Total: never throws, and what is not understood is `unknown`.
   */
  lineage(statement: Statement, scope: Scope, catalog: Catalog): Lineage {
    return this.#lineages.of(statement, scope, catalog)
  }

  /** Ends the thread for monsters; nothing can be analysed any more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#memo.clear()
    await this.#opening
    this.#parser = undefined
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

  async #analyseApart(
    key: string,
    text: Buffer,
    scope: Scope,
    catalog: Catalog | undefined,
  ): Promise<Analysis> {
    const reading = await this.#bigStack.read(Buffer.from(text))
    return this.#conclude(this.#remember(key, reading), scope, catalog)
  }

  async #analyseLater(text: Buffer, scope: Scope, catalog: Catalog | undefined): Promise<Analysis> {
    await this.ready()
    if (this.#parser !== undefined || this.#closed) return this.analyse(text, scope, catalog)
    // It could not be opened: the other thread says why not, and the next text tries again.
    this.#replace()
    return this.#analyseApart(text.toString('latin1'), text, scope, catalog)
  }

  /**
   * A refusal for want of time or threads may not hold for the next attempt, so that it is not
   * kept.
   */
  #remember(key: string, reading: Reading): Remembered {
    const isScoped = reading.ok && reading.statements.some(dependsOnScope)
    const remembered = { reading, isScoped, latest: undefined, byScope: new WeakMap() }
    if (reading.ok || reading.error.reason !== 'parser-failed') {
      const count = reading.ok ? reading.statements.length : 1
      this.#memo.set(key, remembered, key.length + count * BYTES_OF_STATEMENT)
    }
    return remembered
  }

  /** Says what a reading comes to in a session and a database. */
  #conclude(
    remembered: Remembered,
    scope: Scope,
    catalog: Catalog | undefined,
    attempts = MAX_ATTEMPTS,
  ): Analysis | Promise<Analysis> {
    const { reading, isScoped, byScope } = remembered
    if (!reading.ok) return reading
    const { searchPath } = scope
    const known = isScoped ? byScope.get(scope) : remembered.latest
    if (known?.catalog === catalog && known?.searchPath === searchPath) return known.analysis
    try {
      const lookupIn = (current: Scope) => this.#lookup(catalog, current)
      const statements = this.#concluder.concludeAll(reading.statements, lookupIn, scope)
      const analysis: Analysis = { ok: true, statements }
      const latest = { catalog, searchPath, analysis }
      if (isScoped) byScope.set(scope, latest)
      else remembered.latest = latest
      return analysis
    } catch (thrown) {
      if (!(thrown instanceof ParserMissing)) {
        throw new DbgateError('INTERNAL', 'statement could not be analysed', { cause: thrown })
      }
      if (attempts === 0) return failed('parser can not be opened')
      if (this.#parser?.trapped !== false) this.#replace()
      return this.ready().then(() => this.#conclude(remembered, scope, catalog, attempts - 1))
    }
  }

  #lookup(catalog: Catalog | undefined, scope: Scope): Lookup {
    return catalog === undefined ? BUILTIN_LOOKUP : this.#catalogLookup(catalog, scope)
  }

  #catalogLookup(catalog: Catalog, scope: Scope): CatalogLookup {
    const known = this.#lookups.get(catalog)
    const lookup = known ?? CatalogLookup.open(catalog, catalog.path, this.#stored)
    if (known === undefined) this.#lookups.set(catalog, lookup)
    return scope.searchPath === 'moved' ? lookup.along(undefined) : lookup
  }

  /** Parses a text for its tree. Undefined when it is none. */
  #parseHere(text: string): readonly Node[] | undefined {
    const parser = this.#parser
    if (parser === undefined) throw new ParserMissing('no parser')
    try {
      const parsed = parser.parse(Buffer.from(text))
      if (parser.heapBytes > MAX_PARSER_BYTES) this.#replace()
      return parsed.ok ? (parsed.tree.stmts ?? []).flatMap(({ stmt }) => stmt ?? []) : undefined
    } catch (thrown) {
      if (parser.trapped) this.#replace()
      throw thrown
    }
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

function failed(message: string): Analysis {
  return { ok: false, error: { message, position: undefined, reason: 'parser-failed' } }
}

function tooLarge(maxBytes: number): Analysis {
  const message = `statement is larger than ${maxBytes} bytes`
  return { ok: false, error: { message, position: undefined, reason: 'too-large' } }
}

/** Makes an analyser. It answers at once from `ready()` on, and with promises before. */
export function createAnalyser(options: AnalyserOptions = {}): Analyser {
  return new Analyser(options)
}
