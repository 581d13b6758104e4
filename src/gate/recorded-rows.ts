import type { Recording, StatementId } from '../record/index.ts'
import { decodeRowDescription, type Frame } from '../wire/index.ts'
import { type Field, recordedCell } from './cells.ts'
import type { Sent } from './recorded-message.ts'

/** A RowDescription: its columns as JSON, and what their values are. `formats`: what Bind asked for instead. */
export type Described = {
  readonly columns: string
  readonly fields: readonly Field[]
  readonly formats: readonly number[] | undefined
}

/** What of one statement's rows has been recorded. */
type Shown = {
  readonly fields: readonly Field[]
  readonly formats: readonly number[] | undefined
  rowsLeft: number
  bytesLeft: number
  isCut: boolean
}

const HEADER_BYTES = 5
/** Rows are handed on in pieces of about this many characters. */
const BATCH_CHARS = 32 * 1024

/** The rows of a session, up to the configured number and bytes for each statement. */
export class RecordedRows {
  readonly #recording: Recording
  readonly #encoding: () => string
  readonly #shown = new Map<StatementId, Shown>()
  /** The last description as it came: the next is most often the same. */
  #lastBytes: Buffer = Buffer.alloc(0)
  #last: Described = { columns: '[]', fields: [], formats: undefined }
  /** The statement whose rows are being collected, and they. */
  #id: StatementId | undefined
  #rows = ''
  /** The last statement whose rows are not recorded any more, so that a million of them cost little. */
  #cutId: StatementId | undefined
  #pieces: Buffer[] = []
  #piecesLeft = 0

  constructor(recording: Recording, encoding: () => string) {
    this.#recording = recording
    this.#encoding = encoding
  }

  /** No further row of this statement is recorded. */
  isCut(id: StatementId): boolean {
    return id === this.#cutId
  }

  /** Reads a RowDescription. */
  describe(frame: Frame): Described {
    const { buf, start, end } = frame
    const isSame =
      this.#lastBytes.length === end - start && this.#lastBytes.compare(buf, start, end) === 0
    if (isSame) return this.#last
    const fields = decodeRowDescription(frame)
    const columns = fields.map(({ name, typeOid, typeModifier, tableOid, columnNumber }) => ({
      name,
      type: typeOid,
      ...(typeModifier === -1 ? {} : { modifier: typeModifier }),
      ...(tableOid === 0 ? {} : { table: tableOid, column: columnNumber }),
    }))
    this.#lastBytes = Buffer.from(buf.subarray(start, end))
    this.#last = { columns: JSON.stringify(columns), fields, formats: undefined }
    return this.#last
  }

  /** Rows of this shape follow. */
  begin(id: StatementId, described: Described): void {
    this.flush()
    const { fields, formats, columns } = described
    const before = this.#shown.get(id)
    const { rows, bytes } = this.#recording.results
    this.#shown.set(id, {
      fields,
      formats,
      rowsLeft: before?.rowsLeft ?? rows,
      bytesLeft: before?.bytesLeft ?? bytes,
      isCut: before?.isCut ?? false,
    })
    if (columns !== '') {
      this.#recording.add(`"e":"columns","id":"${id}","columns":${columns}}`, true)
    }
  }

  /** A row, or a piece of one. `shape` says what it looks like where no description came with it. */
  add(id: StatementId, sent: Sent, shape: () => Described | undefined): void {
    if (Buffer.isBuffer(sent)) this.#addWhole(id, sent, 0, sent.length, shape)
    else if (sent.part === 'whole') this.#addWhole(id, sent.buf, sent.start, sent.end, shape)
    else this.#addPiece(id, sent, shape)
  }

  /** The statement is over. */
  finish(id: StatementId): void {
    if (this.#id === id) this.flush()
    this.#shown.delete(id)
    if (this.#cutId === id) this.#cutId = undefined
  }

  /** Hands on what has been collected. */
  flush(): void {
    if (this.#id === undefined || this.#rows === '') return
    this.#recording.add(`"e":"rows","id":"${this.#id}","rows":[${this.#rows}]}`, true)
    this.#rows = ''
  }

  #addPiece(id: StatementId, { buf, start, end, part }: Frame, shape: () => Described | undefined) {
    if (part === 'head') {
      const total = buf.readUInt32BE(start + 1) + 1
      this.#pieces = []
      this.#piecesLeft = this.#hasRoom(id, total, shape) ? total : 0
    }
    if (this.#piecesLeft === 0) return
    this.#pieces.push(Buffer.from(buf.subarray(start, end)))
    this.#piecesLeft -= end - start
    if (this.#piecesLeft > 0) return
    const row = Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#addWhole(id, row, 0, row.length, shape)
  }

  #addWhole(
    id: StatementId,
    buf: Buffer,
    start: number,
    end: number,
    shape: () => Described | undefined,
  ): void {
    if (!this.#hasRoom(id, end - start, shape)) return
    const shown = this.#shown.get(id)
    if (shown === undefined) return
    shown.rowsLeft -= 1
    shown.bytesLeft -= end - start
    if (this.#id !== id || this.#rows.length > BATCH_CHARS) this.flush()
    this.#id = id
    const row = this.#encode(buf, start, end, shown)
    this.#rows = this.#rows === '' ? row : `${this.#rows},${row}`
  }

  #hasRoom(id: StatementId, bytes: number, shape: () => Described | undefined): boolean {
    let shown = this.#shown.get(id)
    if (shown === undefined) {
      this.begin(id, shape() ?? { columns: '', fields: [], formats: [] })
      shown = this.#shown.get(id)
    }
    if (shown === undefined || shown.isCut) return false
    if (shown.rowsLeft > 0 && bytes <= shown.bytesLeft) return true
    const why = shown.rowsLeft > 0 ? 'bytes' : 'rows'
    shown.isCut = true
    this.#cutId = id
    this.flush()
    this.#recording.add(`"e":"cut","id":"${id}","what":"results","why":"${why}"}`, false)
    return false
  }

  /** A row's cells as JSON. Shape of DataRow: header, count int16, for each its length int32 (-1: NULL) and bytes. */
  #encode(buf: Buffer, start: number, end: number, { fields, formats }: Shown): string {
    const encoding = this.#encoding()
    const cells: string[] = []
    let at = start + HEADER_BYTES + 2
    for (let column = 0; at + 4 <= end; column++) {
      const bytes = buf.readInt32BE(at)
      at += 4
      if (bytes < 0) {
        cells.push('null')
        continue
      }
      const to = Math.min(at + bytes, end)
      const field = fieldAt(column, fields, formats)
      cells.push(JSON.stringify(recordedCell(buf, at, to, field, encoding)))
      at = to
    }
    return `[${cells.join(',')}]`
  }
}

/** Formats as Bind gives them: none for text, one for all, or one for each column. */
function fieldAt(
  column: number,
  fields: readonly Field[],
  formats: readonly number[] | undefined,
): Field | undefined {
  const field = fields[column]
  if (formats === undefined) return field
  const format = (formats.length === 1 ? formats[0] : formats[column]) ?? 0
  return { typeOid: field?.typeOid ?? 0, format }
}
