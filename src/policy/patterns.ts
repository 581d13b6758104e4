/**
 * Names with `*` for any run of characters. `*` does not cross the dot between schema and name.
 */

const SPECIAL = /[.+?^${}()|[\]\\]/g

function glob(pattern: string, flags: string): RegExp {
  const source = pattern.replaceAll(SPECIAL, '\\$&').replaceAll('*', '.*')
  return new RegExp(`^${source}$`, `s${flags}`)
}

/** Plain words, compared without case; for labels. */
export class Words {
  readonly #exact: ReadonlySet<string>
  readonly #globs: readonly RegExp[]

  constructor(patterns: readonly string[]) {
    const lower = patterns.map(pattern => pattern.toLowerCase())
    this.#exact = new Set(lower)
    this.#globs = lower.filter(pattern => pattern.includes('*')).map(pattern => glob(pattern, ''))
  }

  has(word: string): boolean {
    const lower = word.toLowerCase()
    return this.#exact.has(lower) || this.#globs.some(pattern => pattern.test(lower))
  }
}

type Qualified = {
  readonly schema: string | undefined
  readonly name: string
}

type Pattern = Qualified & {
  readonly finds: { readonly schema: RegExp | undefined; readonly name: RegExp }
  readonly covers: { readonly schema: RegExp | undefined; readonly name: RegExp }
}

/** Cuts at the first dot. */
export function qualified(spelled: string): Qualified {
  const dot = spelled.indexOf('.')
  if (dot < 1 || dot === spelled.length - 1) return { schema: undefined, name: spelled }
  return { schema: spelled.slice(0, dot), name: spelled.slice(dot + 1) }
}

/**
 * Names of relations, functions or settings. A pattern without a schema stands for that name in every schema.
 *
 * Two questions are asked of it, and they err to different sides. `finds`: may this be one of them? A name
 * without a schema may be in any, and case is not looked at. `covers`: is it one of them for sure?
 */
export class Names {
  readonly #bare: ReadonlySet<string>
  readonly #others: readonly Pattern[]
  readonly #all: readonly Pattern[]

  constructor(patterns: readonly string[]) {
    this.#all = patterns.map(compile)
    const isBare = (pattern: string) => !/[.*]/.test(pattern)
    this.#bare = new Set(patterns.filter(isBare).map(pattern => pattern.toLowerCase()))
    this.#others = patterns.filter(pattern => !isBare(pattern)).map(compile)
  }

  finds(schema: string | undefined, name: string): boolean {
    if (this.#bare.size > 0 && this.#bare.has(name.toLowerCase())) return true
    for (const { finds } of this.#others) {
      const fits = finds.schema === undefined || schema === undefined || finds.schema.test(schema)
      if (fits && finds.name.test(name)) return true
    }
    return false
  }

  covers(schema: string | undefined, name: string): boolean {
    return this.#all.some(
      ({ covers }) =>
        covers.name.test(name) &&
        (covers.schema === undefined || (schema !== undefined && covers.schema.test(schema))),
    )
  }

  /** As `finds`, for a name spelled with its schema. */
  findsSpelled(spelled: string): boolean {
    const { schema, name } = qualified(spelled)
    return this.finds(schema, name)
  }

  /** As `covers`, for a name spelled with its schema. */
  coversSpelled(spelled: string): boolean {
    const { schema, name } = qualified(spelled)
    return this.covers(schema, name)
  }
}

function compile(pattern: string): Pattern {
  const { schema, name } = qualified(pattern)
  const both = (flags: string) => ({
    schema: schema === undefined ? undefined : glob(schema, flags),
    name: glob(name, flags),
  })
  return { schema, name, finds: both('i'), covers: both('') }
}
