import type { RecordingEvent, StartEvent, StatementEvent } from '../record/index.ts'

/** What one statement, hold or remark came to, in the order it happened. `at` is ms since the session's start. */
export type Entry = {
  readonly index: number
  readonly at: number
  readonly kind: 'statement' | 'hold' | 'remark' | 'end'
  /** A statement's or a request's id; empty for a remark. */
  readonly id: string
  /** As it was recorded: it may hold anything. */
  readonly sql: string
  readonly events: readonly RecordingEvent[]
  /** The most important of its marks. */
  readonly mark: Mark | undefined
}

/** Why a place is worth jumping to. */
export type Mark = 'held' | 'denied' | 'approved' | 'error' | 'masked' | 'write'

/** A place on the timeline. */
export type Marker = { readonly at: number; readonly mark: Mark; readonly entry: number }

export const SELECTIONS = ['held', 'denied', 'writes', 'errors', 'masked'] as const
/** What `--only` names. */
export type Selection = (typeof SELECTIONS)[number]

type MutableEntry = Omit<Entry, 'events' | 'mark' | 'id' | 'sql'> & {
  id: string
  sql: string
  readonly events: RecordingEvent[]
  mark: Mark | undefined
}

/** Whose session it is and where it went; the recording's first event. */
export type Head = StartEvent & { readonly startedAt: number }

/**
 * A session as it can be told: the events of its recording, put together by statement. It grows while the
 * session runs. Entries are in the order of their first event.
 */
export class Story {
  readonly head: Head
  readonly #entries: MutableEntry[] = []
  readonly #byId = new Map<string, MutableEntry>()
  readonly #markers: Marker[] = []
  readonly #times: number[] = []
  #hasWritten = false
  #isOver = false

  /** Units: `start.t` counts like every event's. */
  constructor(start: StartEvent) {
    const startedAt = Date.parse(start.at)
    this.head = { ...start, startedAt: Number.isNaN(startedAt) ? 0 : startedAt }
  }

  get entries(): readonly Entry[] {
    return this.#entries
  }

  get markers(): readonly Marker[] {
    return this.#markers
  }

  /** When something happened: one for each event, in ms since the start, never going back. */
  get times(): readonly number[] {
    return this.#times
  }

  /** When the last thing happened. */
  get lastAt(): number {
    return this.#times.at(-1) ?? 0
  }

  /** True once the session's end is known. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Takes the next event; kinds that nobody is told of only make time pass. */
  add(given: RecordingEvent): void {
    const event = { ...given, t: Math.max(given.t, this.lastAt) }
    this.#times.push(event.t)
    if (event.e === 'end') this.#isOver = true
    const entry = this.#entryOf(event)
    if (entry === undefined) return
    entry.events.push(event)
    const mark = this.#markOf(event, entry)
    if (mark === undefined) return
    entry.mark = stronger(entry.mark, mark)
    this.#markers.push({ at: event.t, mark, entry: entry.index })
  }

  #entryOf(event: RecordingEvent): MutableEntry | undefined {
    switch (event.e) {
      case 'statement':
        return this.#released(event) ?? this.#open(event, 'statement', event.id, event.text)
      case 'held':
        return this.#open(event, 'hold', event.request, event.text)
      case 'decided':
        return this.#byId.get(event.request) ?? this.#open(event, 'hold', event.request, '')
      case 'end':
        return this.#open(event, 'end', '', '')
      case 'columns':
      case 'rows':
      case 'copy':
      case 'complete':
      case 'error':
      case 'notice':
      case 'cut': {
        const known = event.id === undefined ? undefined : this.#byId.get(event.id)
        return known ?? this.#open(event, 'remark', event.id ?? '', '')
      }
      case 'notification':
        return this.#open(event, 'remark', '', '')
      default:
        return undefined
    }
  }

  /** A statement that somebody let through goes on where it was held. */
  #released(event: StatementEvent): MutableEntry | undefined {
    const held = event.request === undefined ? undefined : this.#byId.get(event.request)
    const last = held?.events.at(-1)
    if (held === undefined || last?.e !== 'decided' || last.outcome !== 'run') return undefined
    held.id = event.id
    held.sql = event.text
    this.#byId.set(event.id, held)
    return held
  }

  #open(event: RecordingEvent, kind: Entry['kind'], id: string, sql: string): MutableEntry {
    const index = this.#entries.length
    const entry: MutableEntry = { index, at: event.t, kind, id, sql, events: [], mark: undefined }
    this.#entries.push(entry)
    if (id !== '') this.#byId.set(id, entry)
    return entry
  }

  #markOf(event: RecordingEvent, entry: MutableEntry): Mark | undefined {
    switch (event.e) {
      case 'statement':
        if (event.refused === true) return entry.kind === 'hold' ? undefined : 'denied'
        if (this.#hasWritten || !isWrite(event)) return undefined
        this.#hasWritten = true
        return 'write'
      case 'held':
        return 'held'
      case 'decided':
        return event.outcome === 'run' ? 'approved' : 'denied'
      case 'error':
        return entry.mark === 'denied' || entry.mark === 'held' ? undefined : 'error'
      case 'complete':
        return (event.masked ?? []).length > 0 ? 'masked' : undefined
      default:
        return undefined
    }
  }
}

/** From the weakest to the strongest. */
const STRENGTH: readonly Mark[] = ['write', 'masked', 'approved', 'error', 'held', 'denied']

function stronger(left: Mark | undefined, right: Mark): Mark {
  return left !== undefined && STRENGTH.indexOf(left) > STRENGTH.indexOf(right) ? left : right
}

function isWrite(event: StatementEvent): boolean {
  return ['write', 'ddl', 'admin'].includes(event.class)
}

/** Whether an entry is told under a selection; nothing selected tells all, and the session's end always is. */
export function isSelected({ kind, events, mark }: Entry, only: readonly Selection[]): boolean {
  if (only.length === 0 || kind === 'end') return true
  const statements = events.filter(event => event.e === 'statement')
  return only.some(each => {
    switch (each) {
      case 'held':
        return kind === 'hold' || statements.some(({ request }) => request !== undefined)
      case 'denied':
        return mark === 'denied'
      case 'errors':
        return events.some(({ e }) => e === 'error')
      case 'masked':
        return events.some(event => event.e === 'complete' && (event.masked ?? []).length > 0)
      case 'writes':
        return statements.some(isWrite)
      default:
        return each satisfies never
    }
  })
}

/** What came back to one statement: a result for each set of columns that it had. */
export type Result = {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Cell[])[]
}

type Cell = string | null | { readonly base64: string }

/** The results of a statement as far as they had been shown at `until`. */
export function resultsOf({ events }: Entry, until: number): readonly Result[] {
  const results: { columns: readonly string[]; rows: (readonly Cell[])[] }[] = []
  for (const event of events) {
    if (event.t > until) break
    if (event.e === 'columns') {
      results.push({ columns: event.columns.map(({ name }) => name), rows: [] })
    } else if (event.e === 'rows') {
      if (results.length === 0) results.push({ columns: [], rows: [] })
      const rows = results.at(-1)?.rows
      for (const row of event.rows) rows?.push(row)
    }
  }
  return results
}
