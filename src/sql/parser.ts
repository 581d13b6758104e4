import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import type { ParseResult } from 'libpg-query'
import createLibpgQuery, { type LibpgQuery } from 'libpg-query/wasm/libpg-query.js'

/** A raw parse tree, or PostgreSQL's own complaint about the text. */
export type Parsed =
  | { readonly ok: true; readonly tree: ParseResult }
  | { readonly ok: false; readonly message: string; readonly position: number | undefined }

/** Thrown when the instance can no longer be trusted: drop it and take a new one. */
export class ParserTrap extends Error {
  override readonly name = 'ParserTrap'
}

/**
 * Compiles libpg_query once; the module can be shared with workers.
 *
 * Source: libpg-query 18.1.5, PostgreSQL 18's own grammar.
 */
export function compileParser(): WebAssembly.Module {
  const file = new URL(import.meta.resolve('libpg-query/wasm/libpg-query.wasm'))
  return new WebAssembly.Module(readFileSync(file))
}

/**
 * Makes one parser instance.
 *
 * Anything but an answer of PostgreSQL's own (a stack overflow, a WASM trap, memory it could not
 * get) leaks inside the instance and later breaks it for everyone: then every call throws
 * ParserTrap, for good.
 */
export async function openParser(module: WebAssembly.Module): Promise<Parser> {
  const instance = await createLibpgQuery({
    instantiateWasm: (imports, receive) => {
      receive(new WebAssembly.Instance(module, imports))
      return {}
    },
    // The library dumps its memory contexts to stderr when it runs out of memory.
    print: () => {},
    printErr: () => {},
  })
  return new Parser(instance)
}

/** One instance of PostgreSQL's parser. Not reentrant, synchronous. */
export class Parser {
  readonly #wasm: LibpgQuery
  #trapped = false

  constructor(wasm: LibpgQuery) {
    this.#wasm = wasm
  }

  /** Whether this instance has failed for good. */
  get trapped(): boolean {
    return this.#trapped
  }

  /** Units: bytes of WASM memory, which only ever grows. */
  get heapBytes(): number {
    return this.#wasm.HEAPU8.length
  }

  /**
   * Parses SQL text. The bytes go to the parser as they are.
   *
   * Refuses NUL, at which the parser would silently stop reading, and bytes that are not UTF-8,
   * whose names could not be compared with a policy's. The position of an error counts characters
   * from 1.
   *
   * Throws: ParserTrap when the instance broke.
   */
  parse(text: Uint8Array): Parsed {
    const refused = refuseBytes(text)
    if (refused !== undefined) return { ok: false, message: refused, position: undefined }
    return this.#guard(() => {
      const pointer = this.#put(text)
      let result = 0
      try {
        result = this.#wasm._wasm_parse_query_raw(pointer)
        return this.#read(result)
      } finally {
        // After a trap these may trap again: the guard drops the instance either way.
        if (result !== 0) this.#wasm._wasm_free_parse_result(result)
        this.#wasm._free(pointer)
      }
    })
  }

  /**
   * Returns the fingerprint of a text that has been parsed without an error.
   *
   * The library hands back some error messages as if they were the fingerprint, so that only 16 hex
   * digits count.
   *
   * Throws: ParserTrap when there is none.
   */
  fingerprint(text: Uint8Array): string {
    return this.#guard(() => {
      const pointer = this.#put(text)
      let result = 0
      try {
        result = this.#wasm._wasm_fingerprint(pointer)
        const found = this.#wasm.UTF8ToString(result)
        if (!/^[0-9a-f]{16}$/.test(found)) throw new ParserTrap('no fingerprint')
        return found
      } finally {
        if (result !== 0) this.#wasm._wasm_free_string(result)
        this.#wasm._free(pointer)
      }
    })
  }

  /**
   * Parses a CREATE FUNCTION or DO statement in PL/pgSQL. Undefined when the body can't be read:
   * the parser knows none of the database's types, so that some correct ones are among them.
   *
   * Throws: ParserTrap when the instance broke.
   */
  parsePlpgsql(text: Uint8Array): unknown {
    if (refuseBytes(text) !== undefined) return undefined
    return this.#guard(() => {
      const pointer = this.#put(text)
      let result = 0
      try {
        result = this.#wasm._wasm_parse_plpgsql(pointer)
        const found = this.#wasm.UTF8ToString(result)
        return found.startsWith('{') ? JSON.parse(found) : undefined
      } finally {
        if (result !== 0) this.#wasm._wasm_free_string(result)
        this.#wasm._free(pointer)
      }
    })
  }

  #put(text: Uint8Array): number {
    const pointer = this.#wasm._malloc(text.length + 1)
    if (pointer === 0) throw new ParserTrap('out of memory')
    this.#wasm.HEAPU8.set(text, pointer)
    this.#wasm.HEAPU8[pointer + text.length] = 0
    return pointer
  }

  /**
   * Shape: PgQueryParseResult {tree*, stderr*, error*}; PgQueryError {message*, function*, file*,
   * line, position}.
   */
  #read(result: number): Parsed {
    const words = this.#wasm.HEAPU32
    const error = words[(result >>> 2) + 2] ?? 0
    if (result !== 0 && error === 0) {
      const tree = words[result >>> 2] ?? 0
      if (tree === 0) throw new ParserTrap('no parse tree')
      return { ok: true, tree: JSON.parse(this.#wasm.UTF8ToString(tree)) }
    }
    const message = words[error >>> 2] ?? 0
    if (result === 0 || message === 0) throw new ParserTrap('no message')
    const position = words[(error >>> 2) + 4] ?? 0
    return {
      ok: false,
      message: this.#wasm.UTF8ToString(message),
      position: position > 0 ? position : undefined,
    }
  }

  #guard<T>(run: () => T): T {
    if (this.#trapped) throw new ParserTrap('this parser has failed before')
    try {
      return run()
    } catch (thrown) {
      this.#trapped = true
      throw thrown instanceof ParserTrap ? thrown : new ParserTrap('trap', { cause: thrown })
    }
  }
}

/** Says what makes bytes unfit to be SQL text, in PostgreSQL's words. */
function refuseBytes(text: Uint8Array): string | undefined {
  if (text.includes(0)) return 'invalid byte sequence for encoding "UTF8": 0x00'
  if (!isUtf8(text)) return 'invalid byte sequence for encoding "UTF8"'
  return undefined
}
