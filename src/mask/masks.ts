import { DbgateError } from '../errors.ts'
import { type CellMask, cellMask } from './cell.ts'
import { type CopyFormat, CopyMasker } from './copy.ts'
import { binaryRows } from './copy-binary.ts'
import { csvRows } from './copy-csv.ts'
import { textRows } from './copy-text.ts'
import { detectorMask } from './detectors.ts'
import type { CellField, Mask } from './kinds.ts'
import { RowMasker } from './rows.ts'
import type { DetectorMask } from './select.ts'

const KEY_BYTES = 32
/** A column of which nobody knows the type: whatever masks it shows NULL. */
const UNKNOWN_TYPE = { typeOid: 0, typeModifier: -1 }

/** The catalog's type of a column, or undefined where a column has none of its own. */
export type ColumnType = { readonly oid: number; readonly modifier: number } | undefined

/** How COPY writes, and the types of its columns, which it does not tell by itself. */
export type CopyOptions = CopyFormat & { readonly types: readonly ColumnType[] }

/** Masks over values, with the key that tokens are made with. */
export type Masks = {
  /** For rows: one mask or null for each column, as RowDescription or a Bind's formats describe them. */
  readonly rows: (
    columns: readonly (Mask | null)[],
    fields: readonly CellField[],
    detectors?: readonly DetectorMask[],
  ) => RowMasker
  /** For COPY TO STDOUT. Throws UNSUPPORTED (0A000) for marks that are no single ASCII character. */
  readonly copy: (
    columns: readonly (Mask | null)[],
    options: CopyOptions,
    detectors?: readonly DetectorMask[],
  ) => CopyMasker
}

/**
 * Makes the masks of one server. The same key gives the same tokens, also after a restart.
 *
 * @param options.key 32 secret bytes; whoever has them can try out which value a token stands for
 * Throws: INTERNAL (XX000) for a key of another length, and where columns and fields are not as many.
 */
export function openMasks({ key }: { readonly key: Buffer }): Masks {
  if (key.length !== KEY_BYTES) {
    throw new DbgateError('INTERNAL', `token key of ${key.length} bytes instead of ${KEY_BYTES}`)
  }
  const own = Buffer.from(key)
  const cellsOf = (
    columns: readonly (Mask | null)[],
    fields: readonly CellField[],
    detectors: readonly DetectorMask[],
  ): readonly (CellMask | null)[] => {
    if (columns.length !== fields.length) {
      throw new DbgateError('INTERNAL', 'masks for other columns than there are')
    }
    return fields.map((field, index) => {
      const mask = columns[index]
      // Only a null shows a column: a hole in a plan is no permission.
      if (mask === undefined) throw new DbgateError('INTERNAL', 'column without a plan')
      return mask === null ? detectorMask(detectors, field) : cellMask(mask, field, own)
    })
  }
  return {
    rows: (columns, fields, detectors = []) => new RowMasker(cellsOf(columns, fields, detectors)),
    copy: (columns, options, detectors = []) => {
      const format = options.format === 'binary' ? 1 : 0
      const fields = options.types.map(type => ({
        ...(type === undefined ? UNKNOWN_TYPE : { typeOid: type.oid, typeModifier: type.modifier }),
        format,
      }))
      return new CopyMasker(rowsOf(cellsOf(columns, fields, detectors), options))
    },
  }
}

function rowsOf(cells: readonly (CellMask | null)[], options: CopyFormat) {
  if (options.format === 'binary') return binaryRows(cells)
  const marks = [options.delimiter, options.quote, options.escape]
  if (marks.some(mark => !/^[\x01-\x7f]$/.test(mark)) || /[\r\n]/.test(options.null)) {
    throw new DbgateError('UNSUPPORTED', 'COPY of masked columns with these marks is not supported')
  }
  return options.format === 'csv' ? csvRows(cells, options) : textRows(cells, options)
}
