import { hash } from 'node:crypto'

/** The version in every segment's first line. A reader refuses what it does not know. */
export const FORMAT_VERSION = 1

/** Bytes before the JSON of a line: 64 hexadecimal digits and a space. */
export const LEAD_BYTES = 65

/** The hash the first segment continues from. */
export const GENESIS = '0'.repeat(64)

/** The longest line a reader takes into memory: the longest text in its longest escaping, and some. */
export const MAX_LINE_BYTES = 512 * 1024 * 1024

/** The most characters of text and parameters in one record. */
export const MAX_RECORD_CHARS = 64 * 1024 * 1024

const SEGMENT_NAME = /^audit-(\d{6,12})\.log$/

/** The file name of a segment. */
export function segmentName(segment: number): string {
  return `audit-${String(segment).padStart(6, '0')}.log`
}

/** The number in a segment's file name, or undefined for any other file. */
export function segmentNumber(name: string): number | undefined {
  const digits = SEGMENT_NAME.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** The first line of a segment: `first` is the number of the first record after it. */
export type SegmentHeader = {
  readonly type: 'segment'
  readonly v: number
  readonly segment: number
  readonly first: number
  readonly continues: string
  readonly t: string
}

/** The bytes of a segment's first line, and its hash, which the next line continues. */
export function encodeHeader(header: SegmentHeader): { line: Buffer; sha256: string } {
  const json = JSON.stringify({
    type: header.type,
    v: header.v,
    segment: header.segment,
    first: header.first,
    continues: header.continues,
    t: header.t,
  })
  const sha256 = chainHash(header.continues, Buffer.from(json))
  return { line: Buffer.from(`${sha256} ${json}\n`), sha256 }
}

/** SHA-256 of the previous line's hash (32 bytes) and a line's JSON bytes, in hexadecimal. */
export function chainHash(previous: string, json: Buffer): string {
  return hash('sha256', Buffer.concat([Buffer.from(previous, 'hex'), json]), 'hex')
}

/**
 * The same as `chainHash` for a line that stands in a buffer at `start` to `end` (without its newline).
 *
 * Ownership: overwrites the second half of the line's lead, so that previous hash and JSON lie side by
 * side and nothing is copied: read the line's own hash before calling.
 */
export function chainHashInPlace(
  previous: string,
  buf: Buffer,
  start: number,
  end: number,
): string {
  const from = start + LEAD_BYTES - 32
  buf.write(previous, from, 32, 'hex')
  return hash('sha256', buf.subarray(from, end), 'hex')
}

/** Reads a segment's first line, or returns undefined where it is not one. */
export function decodeHeader(json: string): SegmentHeader | undefined {
  if (!json.startsWith('{"type":"segment",')) return undefined
  const value = parseJson(json)
  if (typeof value !== 'object' || value === null) return undefined
  if (!('v' in value && 'segment' in value && 'first' in value)) return undefined
  if (!('continues' in value && 't' in value)) return undefined
  const { v, segment, first, continues, t } = value
  if (typeof v !== 'number' || typeof segment !== 'number' || typeof first !== 'number') {
    return undefined
  }
  if (typeof continues !== 'string' || !/^[0-9a-f]{64}$/.test(continues)) return undefined
  if (typeof t !== 'string') return undefined
  return { type: 'segment', v, segment, first, continues, t }
}

/** The parsed text, or undefined where it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
