import { DbgateError } from '../errors.ts'
import type { CopyFormat } from '../mask/index.ts'
import type { Statement } from '../sql/index.ts'
import { BodyReader, type Frame } from '../wire/index.ts'

/** How COPY TO STDOUT writes: as the server says it does, and as the statement asked it to. */
export type CopyForm = {
  readonly columns: number
  /** Undefined for options under which values can't be told apart for sure. */
  readonly options: CopyFormat | undefined
}

const HEADER_BYTES = 5
const BINARY = 1

/** What a masked COPY may ask for. Others change how a value is written, and nobody has to need them here. */
const KNOWN = new Set(['format', 'delimiter', 'null', 'header', 'quote', 'escape', 'encoding'])

/** Reads what a CopyOutResponse announces, and holds it against what the statement asks for. */
export function copyFormOf(frame: Frame, statement: Statement | undefined): CopyForm {
  const body = new BodyReader(frame.buf, frame.start + HEADER_BYTES, frame.end, 'CopyOutResponse')
  const isBinary = body.byte() === BINARY
  const formats = body.list(2, () => body.int16())
  body.finish()
  const format = copyFormatOf(statement)
  const isAsAsked = format !== undefined && isBinary === (format.format === 'binary')
  return { columns: formats.length, options: isAsAsked ? format : undefined }
}

/** What a COPY asks for; undefined where that is nothing a mask can be put over. */
export function copyFormatOf(statement: Statement | undefined): CopyFormat | undefined {
  const options = new Map<string, string>()
  for (const { name, value } of statement?.copyOptions ?? []) {
    if (value === undefined || !KNOWN.has(name)) return undefined
    options.set(name, value)
  }
  const format = (options.get('format') ?? 'text').toLowerCase()
  if (format !== 'text' && format !== 'csv' && format !== 'binary') return undefined
  const isCsv = format === 'csv'
  const encoding = options.get('encoding')
  if (encoding !== undefined && !/^utf-?8$/i.test(encoding)) return undefined
  const form: CopyFormat = {
    format,
    delimiter: options.get('delimiter') ?? (isCsv ? ',' : '\t'),
    quote: options.get('quote') ?? '"',
    escape: options.get('escape') ?? options.get('quote') ?? '"',
    null: options.get('null') ?? (isCsv ? '' : '\\N'),
    header: hasHeader(options.get('header')),
  }
  return isPlain(form) ? form : undefined
}

/** Single bytes that are no letters, as PostgreSQL wants them too, and a NULL that nothing else looks like. */
function isPlain(form: CopyFormat): boolean {
  const { format, delimiter, quote, null: nothing } = form
  if (format === 'binary') return true
  const marks = [delimiter, quote, form.escape]
  return (
    marks.every(mark => /^[\x01-\x7e]$/.test(mark)) &&
    !/[a-z0-9.\\\r\n]/i.test(delimiter) &&
    delimiter !== quote &&
    /^[\x20-\x7e]*$/.test(nothing) &&
    !nothing.includes(delimiter)
  )
}

function hasHeader(value: string | undefined): boolean {
  return value !== undefined && !['false', 'off', '0'].includes(value.toLowerCase())
}

/** Refused in the first place; here it would be too late for anything but an end. */
export function oddCopy(): DbgateError {
  return new DbgateError(
    'UNSUPPORTED',
    'dbgate: confidential columns are copied out as text, CSV or binary only, without other options. Not run. Next: COPY … TO STDOUT (FORMAT csv).',
  )
}
