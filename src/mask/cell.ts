import { isUtf8 } from 'node:buffer'
import { type CellField, fits, isTextLike, type Mask } from './kinds.ts'
import { TOKEN_BYTES, type Tokens, tokensOf } from './token.ts'
import { TypeOid } from './types.ts'
import { yearOfDateText, yearOfDays, yearOfMicroseconds, yearOfTimestampText } from './year.ts'

/**
 * What is sent instead of one value, which is `buf[start..end)` and not NULL: bytes of the same type and format, or
 * null for NULL. `undefined`: the value itself, which only detectors say.
 */
export type CellMask = (buf: Buffer, start: number, end: number) => Buffer | null | undefined

/** What stands for characters left out, always four, so that it tells nothing of how many there were. */
export const BULLETS = '••••'
const BULLET_BYTES = Buffer.from(BULLETS)
/** A value of which fewer characters would be hidden shows none. */
const MIN_HIDDEN = 4
const SPACE = 0x20
const AT = 0x40
const EMAIL = /^[^\s@"<>]+@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,24}$/
/** What hides a local part: its first character stays. */
const EMAIL_BULLETS = Buffer.from('•••')
/** NAMEDATALEN - 1. */
const NAME_BYTES = 63

const toNull: CellMask = () => null

/** The mask of a column of this type in this format. What the mask has no value for becomes NULL. */
export function cellMask(mask: Mask, field: CellField, key: Buffer): CellMask {
  const { typeOid, format } = field
  if (!fits(mask, typeOid) || (format !== 0 && format !== 1)) return toNull
  switch (mask.kind) {
    case 'nullify':
      return toNull
    case 'redact':
      return constant(asType(BULLET_BYTES, field))
    case 'token':
      return tokenMask(field, tokensOf(key, mask.domain))
    case 'email':
      return textMask(field, maskedEmail)
    case 'keep':
      return textMask(field, bytes => maskedMiddle(bytes, mask.first, mask.last))
    case 'year':
      return yearMask(typeOid, format)
  }
}

/** `a•••@acme.dev` of a whole e-mail address, or bullets of what is none. */
export function maskedEmail(bytes: Buffer): Buffer {
  // Longer than any address may be (RFC 5321), and a pattern over it would only cost time.
  if (bytes.length > 320 || !isUtf8(bytes) || !EMAIL.test(bytes.toString('utf8'))) {
    return BULLET_BYTES
  }
  const at = bytes.indexOf(AT)
  return Buffer.concat([
    bytes.subarray(0, offsetOfCharacter(bytes, 1)),
    EMAIL_BULLETS,
    bytes.subarray(at),
  ])
}

/** The first and last characters around bullets, or bullets alone of what is too short to hide anything. */
export function maskedMiddle(bytes: Buffer, first: number, last: number): Buffer {
  if (!isUtf8(bytes)) return BULLET_BYTES
  const characters = countCharacters(bytes)
  if (characters < first + last + MIN_HIDDEN) return BULLET_BYTES
  const head = bytes.subarray(0, offsetOfCharacter(bytes, first))
  const tail = bytes.subarray(offsetOfCharacter(bytes, characters - last))
  return Buffer.concat([head, BULLET_BYTES, tail])
}

/** The text as a value of the column's type, or null where it has no room for it. */
export function asType(
  text: Buffer,
  { typeOid, typeModifier }: { readonly typeOid: number; readonly typeModifier: number },
): Buffer | null {
  if (typeOid === TypeOid.name) return text.length <= NAME_BYTES ? text : null
  if ((typeOid !== TypeOid.varchar && typeOid !== TypeOid.bpchar) || typeModifier < 4) return text
  const room = typeModifier - 4 - countCharacters(text)
  if (room < 0) return null
  if (typeOid === TypeOid.varchar || room === 0) return text
  return Buffer.concat([text, Buffer.alloc(room, SPACE)])
}

function constant(value: Buffer | null): CellMask {
  return () => value
}

function textMask(field: CellField, mask: (bytes: Buffer) => Buffer): CellMask {
  const canonical = canonicalText(field.typeOid)
  return (buf, start, end) => asType(mask(canonical(buf, start, end)), field)
}

/** A text without what its type adds: char(n) is padded with spaces that mean nothing. */
function canonicalText(typeOid: number): (buf: Buffer, start: number, end: number) => Buffer {
  if (typeOid !== TypeOid.bpchar) return (buf, start, end) => buf.subarray(start, end)
  return (buf, start, end) => {
    let last = end
    while (last > start && buf[last - 1] === SPACE) last -= 1
    return buf.subarray(start, last)
  }
}

function tokenMask(field: CellField, tokens: Tokens): CellMask {
  const isBinary = field.format === 1
  if (isTextLike(field.typeOid)) {
    if (asType(Buffer.alloc(TOKEN_BYTES), field) === null) return toNull
    const canonical = canonicalText(field.typeOid)
    return (buf, start, end) => asType(tokens.ofText(canonical(buf, start, end)), field)
  }
  if (field.typeOid === TypeOid.uuid) {
    return (buf, start, end) => {
      const bytes = isBinary
        ? buf.subarray(start, end)
        : uuidBytes(buf.toString('latin1', start, end))
      if (bytes?.length !== 16) return null
      const token = tokens.ofUuid(bytes)
      return isBinary ? token : Buffer.from(uuidText(token), 'latin1')
    }
  }
  return (buf, start, end) => {
    const bytes = isBinary
      ? buf.subarray(start, end)
      : int8Bytes(buf.toString('latin1', start, end))
    if (bytes?.length !== 8) return null
    const token = tokens.ofInt8(bytes)
    return isBinary ? int8Of(token) : Buffer.from(String(token), 'latin1')
  }
}

function yearMask(typeOid: number, format: number): CellMask {
  if (format === 0) {
    const year =
      typeOid === TypeOid.date
        ? yearOfDateText
        : (text: string) => yearOfTimestampText(text, typeOid === TypeOid.timestamptz)
    return (buf, start, end) => {
      const text = year(buf.toString('latin1', start, end))
      return text === null ? null : Buffer.from(text, 'latin1')
    }
  }
  if (typeOid === TypeOid.date) {
    return (buf, start, end) => {
      const day = end - start === 4 ? yearOfDays(buf.readInt32BE(start)) : null
      if (day === null) return null
      const bytes = Buffer.allocUnsafe(4)
      bytes.writeInt32BE(day)
      return bytes
    }
  }
  return (buf, start, end) => {
    const us = end - start === 8 ? yearOfMicroseconds(buf.readBigInt64BE(start)) : null
    return us === null ? null : int8Of(us)
  }
}

function int8Of(value: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigInt64BE(value)
  return bytes
}

const INT8 = /^-?\d{1,19}$/
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function int8Bytes(text: string): Buffer | null {
  if (!INT8.test(text)) return null
  const value = BigInt(text)
  return value === BigInt.asIntN(64, value) ? int8Of(value) : null
}

function uuidBytes(text: string): Buffer | null {
  return UUID.test(text) ? Buffer.from(text.replaceAll('-', ''), 'hex') : null
}

function uuidText(bytes: Buffer): string {
  const digits = bytes.toString('hex')
  const parts = [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
  ]
  return `${parts.join('-')}-${digits.slice(20)}`
}

/** Characters of valid UTF-8: its bytes that do not continue another. */
function countCharacters(bytes: Buffer): number {
  let count = 0
  for (let at = 0; at < bytes.length; at++) if (((bytes[at] ?? 0) & 0xc0) !== 0x80) count += 1
  return count
}

/** Where the character with this index begins; the length of the bytes if there are fewer. */
function offsetOfCharacter(bytes: Buffer, index: number): number {
  let left = index
  for (let at = 0; at < bytes.length; at++) {
    if (((bytes[at] ?? 0) & 0xc0) === 0x80) continue
    if (left === 0) return at
    left -= 1
  }
  return bytes.length
}
