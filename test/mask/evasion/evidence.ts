import { fieldsOf, type RawFrame } from '../../helpers/raw.ts'

/** What a client has received, as lines that say where each thing came from, and as everything it decodes to. */
export type Evidence = {
  readonly lines: readonly string[]
  /** All of it in one text: what a leak is looked for in. */
  readonly text: string
}

type Field = { readonly typeOid: number; readonly format: number }

/** FirstNormalObjectId. */
const FIRST_OWN_OID = 16_384
const EPOCH_DAYS = Date.UTC(2000, 0, 1) / 86_400_000

/** Reads frames as a nosy client would: as text, as bytes, decoded by type, put together. */
export function evidenceOf(frames: readonly RawFrame[], elapsedMs: number): Evidence {
  const lines: string[] = []
  const decoded: string[] = []
  const cells: string[] = []
  let fields: readonly Field[] = []
  for (const frame of frames) {
    const { tag, body } = frame
    if (tag === 'T') fields = fieldsOfRow(body)
    if (tag === 'D') {
      const values = valuesOf(body)
      const texts = values.map((value, at) => shown(value, fields[at]))
      lines.push(`row: ${texts.join('|')}`)
      cells.push(...texts)
      for (const value of values) if (value !== null) decoded.push(...readings(value))
    } else {
      lines.push(lineOf(frame))
      decoded.push(...readings(body))
    }
  }
  lines.push(`elapsed_ms=${Math.round(elapsedMs)}`)
  // Told by its rows one letter each, or over many messages.
  decoded.push(cells.join(''), frames.map(({ body }) => body.toString('latin1')).join(''))
  return { lines, text: [...lines, ...decoded].join('\n') }
}

/** The frames of rows only, each as its values. */
export function rowsOf(frames: readonly RawFrame[]): (string | null)[][] {
  return frames
    .filter(({ tag }) => tag === 'D')
    .map(({ body }) => valuesOf(body).map(value => value?.toString('utf8') ?? null))
}

/** A RowDescription without the oids that a database gives its own relations and types. */
export function withoutOids(body: Buffer): Buffer {
  const copy = Buffer.from(body)
  const clear = (at: number) => {
    if (copy.readUInt32BE(at) >= FIRST_OWN_OID) copy.writeUInt32BE(0, at)
  }
  let at = 2
  for (let left = copy.readInt16BE(0); left > 0; left--) {
    at = copy.indexOf(0, at) + 1
    clear(at)
    clear(at + 6)
    at += 18
  }
  return copy
}

function lineOf({ tag, body }: RawFrame): string {
  const text = body.toString('utf8')
  switch (tag) {
    case 'C':
      return `tag: ${text.slice(0, -1)}`
    case 'E':
    case 'N':
      return `${tag === 'E' ? 'err' : 'notice'}: ${fieldsText({ tag, body })}`
    case 'A':
      return `notify: ${text.slice(4).split('\0').join(' ')}`
    case 'd':
      return `copy: ${text}`
    case 'V':
      return `fcall: ${text.slice(4)}`
    default:
      return `${tag}: ${text}`
  }
}

function fieldsText(frame: RawFrame): string {
  return Object.entries(fieldsOf(frame))
    .map(([code, text]) => `${code}=${text}`)
    .join(' ')
}

/** Whatever the bytes may stand for. */
function readings(bytes: Buffer): string[] {
  const utf8 = bytes.toString('utf8')
  const all = [
    utf8,
    bytes.toString('latin1'),
    bytes.toString('utf16le'),
    `hex:${bytes.toString('hex')}`,
  ]
  for (const [, hex = ''] of utf8.matchAll(/((?:[0-9a-f]{2}){6,})/gi)) {
    all.push(Buffer.from(hex, 'hex').toString('latin1'))
  }
  for (const [base64 = ''] of utf8.matchAll(/[A-Za-z0-9+/]{8,}={0,2}/g)) {
    all.push(Buffer.from(base64, 'base64').toString('latin1'))
  }
  return all
}

function shown(value: Buffer | null, field: Field | undefined): string {
  if (value === null) return 'NULL'
  return field?.format === 1 ? binary(value, field.typeOid) : value.toString('utf8')
}

function binary(value: Buffer, typeOid: number): string {
  switch (typeOid) {
    case 21:
      return String(value.readInt16BE())
    case 23:
      return String(value.readInt32BE())
    case 20:
      return String(value.readBigInt64BE())
    case 1082:
      return new Date((value.readInt32BE() + EPOCH_DAYS) * 86_400_000).toISOString().slice(0, 10)
    case 1700:
      return numeric(value)
    default:
      return value.toString('utf8')
  }
}

/** Base-10000 digits with the weight of the first. */
function numeric(value: Buffer): string {
  const [count, weight] = [value.readInt16BE(0), value.readInt16BE(2)]
  let text = ''
  for (let at = 0; at < count; at++) {
    if (at === weight + 1) text += '.'
    text += String(value.readInt16BE(8 + 2 * at)).padStart(at === 0 ? 1 : 4, '0')
  }
  return text
}

function fieldsOfRow(body: Buffer): readonly Field[] {
  const fields: Field[] = []
  let at = 2
  for (let left = body.readInt16BE(0); left > 0; left--) {
    at = body.indexOf(0, at) + 1
    fields.push({ typeOid: body.readUInt32BE(at + 6), format: body.readInt16BE(at + 16) })
    at += 18
  }
  return fields
}

function valuesOf(body: Buffer): (Buffer | null)[] {
  const values: (Buffer | null)[] = []
  let at = 2
  for (let left = body.readUInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at)
    at += 4
    values.push(length < 0 ? null : body.subarray(at, at + length))
    at += Math.max(length, 0)
  }
  return values
}
