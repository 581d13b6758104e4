import { appendFileSync, readFileSync, statSync } from 'node:fs'
import { systemCode } from '../errors.ts'

/** A name or a label that a column of a database had when it was seen. */
export type SeenColumn = {
  readonly relation: number
  readonly column: number
  readonly name: { readonly schema: string; readonly relation: string; readonly column: string }
  readonly label: string | undefined
}

/** Shape: what became of it: seen, gone from the database, or accepted to be gone. */
type Line = {
  readonly v: 1
  readonly place: string
  readonly was: 'seen' | 'gone' | 'accepted'
  readonly column: SeenColumn
}

type Kept = { readonly column: SeenColumn; readonly isGone: boolean }

const NOTHING: readonly SeenColumn[] = Object.freeze([])

/**
 * What columns were known by, so that whoever can change a schema can't unmask a column by taking its label or its
 * name away. A file of lines that is only added to: the server adds what it sees, a person what is accepted.
 *
 * A place is a target and a database.
 */
export class MaskMemory {
  readonly #file: string
  readonly #places = new Map<string, Map<string, Kept>>()
  /** Made once for each state, so that its identity can be asked for. */
  readonly #lists = new Map<string, readonly SeenColumn[]>()
  #bytes = -1
  /** Its last line was cut by a crash. */
  #isTorn = false

  constructor(file: string) {
    this.#file = file
    this.refresh()
  }

  /** All that was seen in a place and not accepted to be gone. The same list until that changes. */
  of(place: string): readonly SeenColumn[] {
    const known = this.#lists.get(place)
    if (known !== undefined) return known
    const kept = this.#places.get(place)
    const list =
      kept === undefined || kept.size === 0
        ? NOTHING
        : Object.freeze([...kept.values()].map(({ column }) => column))
    this.#lists.set(place, list)
    return list
  }

  /** What is gone from the database and goes on masking, by place. */
  gone(): readonly { readonly place: string; readonly columns: readonly SeenColumn[] }[] {
    return [...this.#places].flatMap(([place, kept]) => {
      const columns = [...kept.values()].flatMap(({ column, isGone }) => (isGone ? [column] : []))
      return columns.length === 0 ? [] : [{ place, columns }]
    })
  }

  /**
   * Takes in what a database has now, and which of what is remembered it has no more. Returns what was not known to
   * be gone before.
   *
   * Throws: what the file system says; nothing is forgotten then, but what is new is remembered only until a restart.
   */
  learn(
    place: string,
    seen: readonly SeenColumn[],
    gone: readonly SeenColumn[],
  ): readonly SeenColumn[] {
    const kept = this.#places.get(place)
    const isGone = new Set(gone.map(keyOf))
    const back = seen.filter(column => {
      const before = kept?.get(keyOf(column))
      return !isGone.has(keyOf(column)) && (before === undefined || before.isGone)
    })
    const lost = gone.filter(column => kept?.get(keyOf(column))?.isGone === false)
    this.#add([...back.map(lineOf(place, 'seen')), ...lost.map(lineOf(place, 'gone'))])
    return lost
  }

  /** Lets go of what is gone: it masks no more. Returns what that is. */
  accept(place: string): readonly SeenColumn[] {
    const found = this.gone().find(each => each.place === place)?.columns ?? []
    this.#add(found.map(lineOf(place, 'accepted')))
    return found
  }

  /** Reads the file again if somebody else has added to it. Returns whether that was so. */
  refresh(): boolean {
    const bytes = this.#size()
    if (bytes === this.#bytes) return false
    this.#bytes = bytes
    this.#places.clear()
    this.#lists.clear()
    const text = bytes === 0 ? '' : readFileSync(this.#file, 'utf8')
    this.#isTorn = text !== '' && !text.endsWith('\n')
    for (const line of text.split('\n')) {
      const parsed = parse(line)
      if (parsed !== undefined) this.#take(parsed)
    }
    return true
  }

  #add(lines: readonly Line[]): void {
    if (lines.length === 0) return
    for (const line of lines) this.#take(line)
    const whole = lines.map(line => `${JSON.stringify(line)}\n`).join('')
    const text = this.#isTorn ? `\n${whole}` : whole
    appendFileSync(this.#file, text, { mode: 0o600 })
    this.#isTorn = false
    this.#bytes = this.#bytes < 0 ? -1 : this.#bytes + Buffer.byteLength(text)
  }

  #take({ place, was, column }: Line): void {
    const kept = this.#places.get(place) ?? new Map<string, Kept>()
    this.#places.set(place, kept)
    if (was === 'accepted') kept.delete(keyOf(column))
    else kept.set(keyOf(column), { column, isGone: was === 'gone' })
    this.#lists.delete(place)
  }

  #size(): number {
    try {
      return statSync(this.#file).size
    } catch (cause) {
      if (systemCode(cause) === 'ENOENT') return 0
      throw cause
    }
  }
}

function lineOf(place: string, was: Line['was']) {
  return (column: SeenColumn): Line => ({ v: 1, place, was, column })
}

function keyOf({ relation, column, name, label }: SeenColumn): string {
  return JSON.stringify([relation, column, name.schema, name.relation, name.column, label])
}

/** A line that was cut off by a crash is none. */
function parse(line: string): Line | undefined {
  if (line === '') return undefined
  try {
    const { place, was, column } = JSON.parse(line) as Line
    const { schema, relation, column: name } = column.name
    const isWhole = [place, schema, relation, name].every(part => typeof part === 'string')
    if (!isWhole || !['seen', 'gone', 'accepted'].includes(was)) return undefined
    return { v: 1, place, was, column: { ...column, label: column.label ?? undefined } }
  } catch {
    return undefined
  }
}
