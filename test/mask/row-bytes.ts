import assert from 'node:assert/strict'
import { message } from '../helpers/bytes.ts'

/** The body of a DataRow. */
export function rowBody(values: readonly (Buffer | null)[]): Buffer {
  const parts: Buffer[] = [Buffer.alloc(2)]
  parts[0]?.writeUInt16BE(values.length)
  for (const value of values) {
    const length = Buffer.alloc(4)
    length.writeInt32BE(value === null ? -1 : value.length)
    parts.push(length, value ?? Buffer.alloc(0))
  }
  return Buffer.concat(parts)
}

export const dataRow = (values: readonly (Buffer | null)[]) => message('D', rowBody(values))

/** The values of one DataRow message. */
export function valuesOf(bytes: Buffer): (Buffer | null)[] {
  assert.equal(bytes.toString('latin1', 0, 1), 'D')
  assert.equal(bytes.readInt32BE(1), bytes.length - 1)
  const values: (Buffer | null)[] = []
  let at = 7
  for (let left = bytes.readUInt16BE(5); left > 0; left--) {
    const length = bytes.readInt32BE(at)
    at += 4
    values.push(length < 0 ? null : Buffer.from(bytes.subarray(at, at + length)))
    at += Math.max(length, 0)
  }
  assert.equal(at, bytes.length)
  return values
}
