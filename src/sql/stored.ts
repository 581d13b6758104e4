import { type Parser, ParserTrap } from './parser.ts'
import type { RawStatement } from './raw.ts'
import { readStored, type StoredTexts } from './read.ts'

/** Thrown when there is no parser at the moment: wait for one and begin again. */
export class ParserMissing extends Error {
  override readonly name = 'ParserMissing'
}

/**
 * Reads texts that the database keeps with whatever parser there is; what breaks one is not tried
 * again.
 */
export class StoredReader implements StoredTexts {
  readonly #parser: () => Parser | undefined
  readonly #maxBytes: number
  readonly #unreadable = new Set<string>()

  constructor(parser: () => Parser | undefined, maxBytes: number) {
    this.#parser = parser
    this.#maxBytes = maxBytes
  }

  statements(text: string): RawStatement | undefined {
    return this.#read(text, stored => stored.statements(text))
  }

  expression(text: string): RawStatement | undefined {
    return this.#read(text, stored => stored.expression(text))
  }

  functionBody(definition: string): RawStatement | undefined {
    return this.#read(definition, stored => stored.functionBody(definition))
  }

  #read(
    text: string,
    read: (stored: StoredTexts) => RawStatement | undefined,
  ): RawStatement | undefined {
    if (text.length > this.#maxBytes || this.#unreadable.has(text)) return undefined
    const parser = this.#parser()
    if (parser === undefined) throw new ParserMissing('no parser')
    try {
      return read(readStored(parser))
    } catch (thrown) {
      if (!(thrown instanceof ParserTrap || thrown instanceof RangeError)) throw thrown
      this.#unreadable.add(text)
      throw new ParserMissing('parser broke', { cause: thrown })
    }
  }
}
