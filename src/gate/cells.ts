import { isUtf8 } from 'node:buffer'
import type { RecordedCell } from '../record/index.ts'
import { decodeText } from './text.ts'

/** What a column's values are, as far as a recording needs to know. `format`: 0 text, 1 binary. */
export type Field = { readonly typeOid: number; readonly format: number }

const BINARY = 1
/** Microseconds and days from 1970 to 2000, where PostgreSQL counts from. */
const EPOCH_MS = 946_684_800_000
const DAY_MS = 86_400_000
/** Four-digit years: before and after, PostgreSQL's text and ours differ. */
const MAX_YEARS_MS = 8000 * 365 * DAY_MS

/**
 * One value as it is recorded: the text that was sent; of a simple type in binary format the text that
 * PostgreSQL would have sent for it; else the bytes.
 *
 * @param encoding of text, by PostgreSQL's name
 */
export function recordedCell(
  buf: Buffer,
  start: number,
  end: number,
  field: Field | undefined,
  encoding: string,
): RecordedCell {
  if (field === undefined || field.format !== BINARY) return textCell(buf, start, end, encoding)
  return binaryCell(buf, start, end, field.typeOid, encoding) ?? bytesCell(buf, start, end)
}

function bytesCell(buf: Buffer, start: number, end: number): RecordedCell {
  return { base64: buf.toString('base64', start, end) }
}

function textCell(buf: Buffer, start: number, end: number, encoding: string): RecordedCell {
  if (encoding === 'UTF8') {
    const text = buf.toString('utf8', start, end)
    // Only what was replaced can have become this character, unless it stood there.
    if (!text.includes('\ufffd') || isUtf8(buf.subarray(start, end))) return text
    return bytesCell(buf, start, end)
  }
  const { text, base64 } = decodeText(buf.subarray(start, end), encoding)
  return base64 !== undefined && text.includes('\ufffd') ? { base64 } : text
}

/** Source: the send functions under src/backend/utils/adt of PostgreSQL; OIDs as in pg_type.dat. */
function binaryCell(
  buf: Buffer,
  start: number,
  end: number,
  typeOid: number,
  encoding: string,
): RecordedCell | undefined {
  const bytes = end - start
  switch (typeOid) {
    case 16:
      return bytes === 1 ? (buf[start] === 0 ? 'f' : 't') : undefined
    case 20:
      return bytes === 8 ? String(buf.readBigInt64BE(start)) : undefined
    case 21:
      return bytes === 2 ? String(buf.readInt16BE(start)) : undefined
    case 23:
      return bytes === 4 ? String(buf.readInt32BE(start)) : undefined
    case 26:
      return bytes === 4 ? String(buf.readUInt32BE(start)) : undefined
    case 700:
      return bytes === 4 ? floatText(buf.readFloatBE(start), 4) : undefined
    case 701:
      return bytes === 8 ? floatText(buf.readDoubleBE(start), 8) : undefined
    case 1082:
      return bytes === 4 ? dateText(buf.readInt32BE(start)) : undefined
    case 1114:
      return bytes === 8 ? timestampText(buf.readBigInt64BE(start)) : undefined
    case 2950:
      return bytes === 16 ? uuidText(buf.toString('hex', start, end)) : undefined
    case 3802:
      return buf[start] === 1 ? textCell(buf, start + 1, end, encoding) : undefined
    case 18: // "char"
    case 19: // name
    case 25: // text
    case 114: // json
    case 142: // xml
    case 705: // unknown
    case 1042: // bpchar
    case 1043: // varchar
      return textCell(buf, start, end, encoding)
    default:
      return undefined
  }
}

function floatText(value: number, bytes: 4 | 8): string | undefined {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity'
  const text = bytes === 8 ? String(value) : shortest(value)
  // PostgreSQL writes exponents in another way.
  return text.includes('e') ? undefined : Object.is(value, -0) ? '-0' : text
}

/** The shortest text that reads as the same number of four bytes. */
function shortest(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const text = String(Number(value.toPrecision(digits)))
    if (Math.fround(Number(text)) === value) return text
  }
  return String(Number(value.toPrecision(9)))
}

function dateText(days: number): string | undefined {
  const ms = days * DAY_MS
  if (Math.abs(ms) > MAX_YEARS_MS || EPOCH_MS + ms < -62_135_596_800_000) return undefined
  return new Date(EPOCH_MS + ms).toISOString().slice(0, 10)
}

function timestampText(microseconds: bigint): string | undefined {
  const ms = Number(microseconds / 1000n)
  if (microseconds < 0n || ms > MAX_YEARS_MS - DAY_MS) return undefined
  const whole = new Date(EPOCH_MS + ms).toISOString().slice(0, 19).replace('T', ' ')
  const fraction = microseconds % 1_000_000n
  if (fraction === 0n) return whole
  return `${whole}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`
}

function uuidText(hex: string): string {
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)]
  return [...parts, hex.slice(20)].join('-')
}
