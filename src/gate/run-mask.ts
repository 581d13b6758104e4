import { DbgateError } from '../errors.ts'
import type { ColumnPlan, CopyMasker, GuardPlan, MaskSet, Masks, RowMasker } from '../mask/index.ts'
import type { Catalog, Statement } from '../sql/index.ts'
import { decodeRowDescription, type FieldDescription, type Frame } from '../wire/index.ts'
import { copyFormOf, oddCopy } from './copy-form.ts'

/** What a run's rows are masked by. `guard` undefined: no row of it may be shown. */
export type RunMaskOptions = {
  readonly guard: GuardPlan | undefined
  readonly set: MaskSet | undefined
  /** What the plan was made with. */
  readonly catalog: Catalog | undefined
  readonly masks: Masks
  readonly statement: Statement | undefined
}

type State =
  /** Nothing is known yet of what comes: no row may. */
  | { readonly at: 'undescribed' }
  /** Described as foreseen; null where no column is masked. */
  | { readonly at: 'rows'; readonly masker: RowMasker | null }
  | { readonly at: 'copy'; readonly masker: CopyMasker | null }

/**
 * Holds what one run sends against its plan, and masks it. Kept with the run, since a portal may be executed
 * several times.
 *
 * Invariant: a row goes on only if the server has described its columns before, and as the plan foresaw them.
 */
export class RunMask {
  readonly #options: RunMaskOptions
  #state: State = { at: 'undescribed' }

  constructor(options: RunMaskOptions) {
    this.#options = options
  }

  /** The columns that are masked, as `users.email`. */
  get masked(): readonly string[] {
    return this.#options.guard?.masked ?? []
  }

  /** Why a column is masked, in a few words. */
  whyOf(name: string): string {
    const column = this.#options.guard?.columns?.find(({ sources }) => sources.includes(name))
    return column?.why.replace(/^[^:]*: (?:label )?/, '') ?? ''
  }

  /** Relations it is about, for errors, from the catalog. */
  get relationNames(): readonly string[] {
    const { guard, set } = this.#options
    const relations = new Set(guard?.lineage.relations ?? [])
    const names = set?.columns.flatMap(({ origin, name }) =>
      relations.has(origin.relation) ? [name.slice(0, name.lastIndexOf('.'))] : [],
    )
    return [...new Set(names)]
  }

  /** Code that users have written runs: what it says can be anything. */
  get runsCode(): boolean {
    return this.#options.guard?.lineage.runsCode !== false
  }

  /** Rows must come whole: they are rewritten. */
  get isRewriting(): boolean {
    return this.#state.at === 'undescribed' || this.#state.masker !== null
  }

  /** The server says what the columns are. Throws: CHANGED (40001) if they are not those that were judged. */
  described(frame: Frame): void {
    const columns = this.#options.guard?.columns
    const fields = decodeRowDescription(frame)
    if (columns === undefined || columns.length !== fields.length) throw changed('columns')
    fields.forEach((field, index) => {
      const column = columns[index]
      if (column === undefined || !this.#isForeseen(column, field)) {
        throw changed(`column ${index + 1}`)
      }
    })
    this.#state = { at: 'rows', masker: this.#rowMasker(columns, fields) }
  }

  /**
   * One whole row. Returns it masked, or null where it goes on as it is.
   *
   * Throws: CHANGED (40001) for a row that nothing foresaw.
   */
  row(frame: Frame): Buffer | null {
    if (this.#state.at !== 'rows') throw changed('rows')
    return this.#state.masker === null ? null : this.#state.masker.mask(frame)
  }

  /** The server begins to copy out. Throws: CHANGED (40001), UNSUPPORTED (0A000). */
  copyOut(frame: Frame): void {
    const { guard, masks, statement, set } = this.#options
    const columns = guard?.columns
    const form = copyFormOf(frame, statement)
    if (columns === undefined || columns.length !== form.columns) throw changed('columns')
    const detectors = set?.detectors ?? []
    if (detectors.length === 0 && columns.every(({ mask }) => mask === null)) {
      this.#state = { at: 'copy', masker: null }
      return
    }
    if (form.options === undefined) throw oddCopy()
    const masker = masks.copy(
      columns.map(({ mask }) => mask),
      { ...form.options, types: columns.map(({ type }) => type) },
      detectors,
    )
    this.#state = { at: 'copy', masker }
  }

  /** One whole CopyData message. Returns what goes on in its place; null for itself. */
  copyData(frame: Frame): Buffer | null {
    if (this.#state.at !== 'copy') throw changed('data')
    return this.#state.masker === null ? null : this.#state.masker.data(frame)
  }

  /** The copy is over. Returns what was still kept back. */
  copyDone(): Buffer | null {
    if (this.#state.at !== 'copy') throw changed('data')
    return this.#state.masker === null ? null : this.#state.masker.end()
  }

  #rowMasker(
    columns: readonly ColumnPlan[],
    fields: readonly FieldDescription[],
  ): RowMasker | null {
    const detectors = this.#options.set?.detectors ?? []
    if (detectors.length === 0 && columns.every(({ mask }) => mask === null)) return null
    return this.#options.masks.rows(
      columns.map(({ mask }) => mask),
      fields,
      detectors,
    )
  }

  /**
   * What the server says of a column must be among what the analysis foresaw, and what is shown must not be what
   * is masked. A system column, like ctid, holds nothing of anybody's.
   */
  #isForeseen({ reported, from, mask }: ColumnPlan, field: FieldDescription): boolean {
    const { tableOid, columnNumber } = field
    if (tableOid === 0 || columnNumber < 0) return true
    if (columnNumber === 0) return mask !== null || !this.#isOfMasked(tableOid)
    const isIt = (one: { readonly relation: number; readonly column: number }) =>
      one.relation === tableOid && one.column === columnNumber
    const { set, catalog } = this.#options
    // A temporary table of the session's own is in no catalog.
    const isTemporary = reported.some(({ relation }) => relation === 0)
    if (isTemporary && catalog?.relations.has(tableOid) === false) return true
    if (!reported.some(isIt) && !from.some(isIt)) return false
    return mask !== null || set?.of({ relation: tableOid, column: columnNumber }) === undefined
  }

  #isOfMasked(relation: number): boolean {
    return this.#options.set?.relations.has(relation) !== false
  }
}

/** What was judged is not what the database runs: somebody has changed the schema in between. */
export function changed(what: string): DbgateError {
  return new DbgateError(
    'CHANGED',
    'dbgate: the schema changed while the statement was checked. Next: connect and send it again.',
    { detail: `The ${what} that the database sent are not those that were checked.` },
  )
}
