import assert from 'node:assert/strict'
import { copyFrame, type Frame, type FramePart, FrameReader } from '../../src/wire/index.ts'

/**
 * Bytes as a literal: hexadecimal digits, and text in single quotes as UTF-8; spaces mean nothing.
 * `hex("51 0000000d 'select 1' 00")` is a Query.
 */
export function hex(literal: string): Buffer {
  const parts = literal.split(/'([^']*)'/)
  return Buffer.concat(
    parts.map((part, index) => {
      if (index % 2 === 1) return Buffer.from(part, 'utf8')
      const digits = part.replace(/\s/g, '')
      assert.match(digits, /^([0-9a-f]{2})*$/, `not hexadecimal: ${part}`)
      return Buffer.from(digits, 'hex')
    }),
  )
}

/** A tagged message around a body given as a literal or bytes. */
export function message(tag: string, body: string | Buffer): Buffer {
  const bytes = typeof body === 'string' ? hex(body) : body
  const header = Buffer.alloc(5, tag)
  header.writeInt32BE(bytes.length + 4, 1)
  return Buffer.concat([header, bytes])
}

/** One message as a frame with other bytes on both sides, which no decoder may look at, in memory of its own. */
export function frameOf(bytes: Buffer, surroundings = 0): Frame {
  const around = 9
  const buf = Buffer.alloc(bytes.length + 2 * around, surroundings)
  bytes.copy(buf, around)
  return { tag: bytes[0] ?? 0, buf, start: around, end: around + bytes.length, part: 'whole' }
}

/** What a reader handed out, copied. */
export type Seen = { readonly tag: string; readonly part: FramePart; readonly bytes: Buffer }

export type ReaderOptions = {
  readonly nameOf: (tag: number) => string | undefined
  readonly maxFrameBytes?: number
  readonly streamed?: readonly number[]
}

export function readerOf({ nameOf, maxFrameBytes = 1 << 20, streamed = [] }: ReaderOptions) {
  return new FrameReader({ nameOf, maxFrameBytes, streamed })
}

/** Everything the reader has, until it wants more. */
export function takeAll(reader: FrameReader): Seen[] {
  const seen: Seen[] = []
  for (let frame = reader.next(); frame !== null; frame = reader.next()) {
    seen.push({
      tag: String.fromCharCode(frame.tag),
      part: frame.part,
      bytes: copyFrame(frame),
    })
  }
  return seen
}

/** Pushes chunk by chunk; each chunk is overwritten once it has been read to its end. */
export function readAll(reader: FrameReader, chunks: readonly Buffer[]): Seen[] {
  return chunks.flatMap(chunk => {
    const own = Buffer.from(chunk)
    reader.push(own)
    const seen = takeAll(reader)
    own.fill(0xee)
    return seen
  })
}

/** All ways to cut the bytes in two, the bytes as one chunk, and one byte at a time. */
export function everyCut(bytes: Buffer): Buffer[][] {
  const cuts = Array.from(bytes, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)])
  return [[bytes], ...cuts, Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))]
}

/** Decodes one message at every cut position and returns the result, which must always be the same. */
export function decodeAtEveryCut<T>(
  bytes: Buffer,
  nameOf: (tag: number) => string | undefined,
  decode: (frame: Frame) => T,
): T {
  const expected = decode(frameOf(bytes))
  for (const chunks of everyCut(bytes)) {
    const reader = readerOf({ nameOf })
    let decoded = 0
    for (const chunk of chunks) {
      reader.push(chunk)
      for (let frame = reader.next(); frame !== null; frame = reader.next()) {
        assert.deepEqual(decode(frame), expected, `cut at ${chunks[0]?.length}`)
        decoded += 1
      }
    }
    assert.equal(decoded, 1)
    assert.ok(reader.isAtBoundary)
  }
  return expected
}
