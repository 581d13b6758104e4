/** What cutting and decoding frames costs: nanoseconds per frame, best of several rounds. */
import {
  BackendTag,
  backendName,
  decodeFrontend,
  FrameReader,
  frontendName,
} from '../src/wire/index.ts'

const ROUNDS = 20
const STREAM_BYTES = 8 << 20

/** A message of `bodyBytes` in its body, so often that it fills the stream. */
function streamOf(tag: number, bodyBytes: number): { stream: Buffer; frames: number } {
  const message = Buffer.alloc(5 + bodyBytes, tag)
  message.writeInt32BE(4 + bodyBytes, 1)
  const frames = Math.ceil(STREAM_BYTES / message.length)
  return { stream: Buffer.alloc(frames * message.length, message), frames }
}

function chunksOf(stream: Buffer, bytes: number): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0; at < stream.length; at += bytes) chunks.push(stream.subarray(at, at + bytes))
  return chunks
}

/** Nanoseconds of the fastest round, divided by what it did. */
function best(done: number, round: () => void): number {
  let fastest = Number.POSITIVE_INFINITY
  for (let count = 0; count < ROUNDS; count++) {
    const started = process.hrtime.bigint()
    round()
    fastest = Math.min(fastest, Number(process.hrtime.bigint() - started))
  }
  return fastest / done
}

function report(what: string, ns: number): void {
  const perSecond = `${(1000 / ns).toFixed(2).padStart(8)} M/s`
  console.log(`${what.padEnd(46)}${ns.toFixed(1).padStart(10)} ns ${perSecond}`)
}

function cut(what: string, bodyBytes: number, chunkBytes: number, streamed: readonly number[]) {
  const { stream, frames } = streamOf(BackendTag.DataRow, bodyBytes)
  const chunks = chunksOf(stream, chunkBytes)
  const reader = new FrameReader({ nameOf: backendName, maxFrameBytes: 1 << 24, streamed })
  let seen = 0
  const ns = best(frames, () => {
    for (const chunk of chunks) {
      reader.push(chunk)
      for (let frame = reader.next(); frame !== null; frame = reader.next()) {
        seen += frame.end - frame.start
      }
    }
  })
  if (seen !== ROUNDS * stream.length) throw new Error(`${what}: lost bytes`)
  report(what, ns)
}

function decode(what: string, messages: string): void {
  const bytes = Buffer.from(messages.replaceAll(' ', ''), 'hex')
  const reader = new FrameReader({ nameOf: frontendName, maxFrameBytes: 1 << 24, streamed: [] })
  let seen = 0
  const times = 20_000
  const ns = best(times, () => {
    for (let count = 0; count < times; count++) {
      reader.push(bytes)
      for (let frame = reader.next(); frame !== null; frame = reader.next()) {
        seen += decodeFrontend(frame).type.length
      }
    }
  })
  if (seen === 0) throw new Error(`${what}: decoded nothing`)
  report(what, ns)
}

const ROW = [BackendTag.DataRow]
console.log(`per frame or list of frames, best of ${ROUNDS} rounds, Node ${process.version}`)
cut('DataRow of 25 bytes, chunks of 64 KiB', 20, 65_536, [])
cut('DataRow of 25 bytes, streamed', 20, 65_536, ROW)
cut('DataRow of 105 bytes, TLS records of 16 KiB', 100, 16_384, ROW)
cut('DataRow of 25 bytes, one byte a chunk', 20, 1, [])
cut('DataRow of 60 KB, put together', 60_000, 65_536, [])
cut('DataRow of 60 KB, streamed', 60_000, 65_536, ROW)
cut('DataRow of 1 MB, put together', 1_000_000, 65_536, [])
cut('DataRow of 1 MB, streamed', 1_000_000, 65_536, ROW)
decode('Query, decoded', '51 0000000d 73656c6563742031 00')
decode(
  'Parse Bind Describe Execute Sync, decoded',
  '50 00000011 00 73656c656374202431 00 0000' +
    '42 00000016 00 00 0001 0000 0001 00000002 3432 0001 0000' +
    '44 00000006 50 00 45 00000009 00 00000000 53 00000004',
)
decode(
  'Bind Execute Sync of a named statement, decoded',
  '42 00000019 00 505f30 00 0001 0000 0001 00000002 3432 0001 0000' +
    '45 00000009 00 00000000 53 00000004',
)
