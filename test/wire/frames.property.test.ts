import assert from 'node:assert/strict'
import fc from 'fast-check'
import { BackendTag, backendName, copyFrame, frontendName } from '../../src/wire/index.ts'
import { hex, message, readAll, readerOf, takeAll } from '../helpers/bytes.ts'
import { SEED } from '../helpers/seed.ts'

const tags = [BackendTag.DataRow, BackendTag.CopyData, BackendTag.CommandComplete]
const someMessage = fc
  .record({ tag: fc.constantFrom(...tags), body: fc.uint8Array({ maxLength: 40 }) })
  .map(({ tag, body }) => message(String.fromCharCode(tag), Buffer.from(body)))

const backendReader = (options: { streamed?: readonly number[] } = {}) =>
  readerOf({ nameOf: backendName, ...options })
const frontendReader = (options: { maxFrameBytes: number }) =>
  readerOf({ nameOf: frontendName, ...options })

/** A stream, and the same stream in chunks: some empty, some of one byte, some with many messages. */
const chunked = fc
  .array(someMessage, { minLength: 1, maxLength: 12 })
  .chain(messages =>
    fc.record({
      messages: fc.constant(messages),
      cuts: fc.array(fc.nat(Buffer.concat(messages).length), { maxLength: 30 }),
    }),
  )
  .map(({ messages, cuts }) => {
    const stream = Buffer.concat(messages)
    const at = [0, ...cuts, stream.length].sort((a, b) => a - b)
    return { messages, chunks: at.slice(1).map((end, index) => stream.subarray(at[index], end)) }
  })

describe(`FrameReader, any chunking (seed ${SEED})`, () => {
  it('yields the same frames', () => {
    fc.assert(
      fc.property(chunked, ({ messages, chunks }) => {
        const seen = readAll(backendReader(), chunks)
        assert.deepEqual(
          seen.map(frame => frame.bytes),
          messages,
        )
        assert.ok(seen.every(frame => frame.part === 'whole'))
      }),
      { seed: SEED, numRuns: 500 },
    )
  })

  it('yields pieces that make up the same messages when they are streamed', () => {
    fc.assert(
      fc.property(chunked, fc.subarray(tags), ({ messages, chunks }, streamed) => {
        const joined: Buffer[] = []
        let open: Buffer[] | undefined
        for (const { tag, part, bytes } of readAll(backendReader({ streamed }), chunks)) {
          if (part === 'whole' || part === 'head') assert.equal(open, undefined)
          else assert.notEqual(open, undefined)
          if (part !== 'whole') assert.ok(streamed.includes(tag.charCodeAt(0)))
          if (part === 'head') assert.ok(bytes.length >= 5)
          assert.ok(bytes.length > 0)
          open = [...(open ?? []), bytes]
          if (part === 'head' || part === 'middle') continue
          joined.push(Buffer.concat(open))
          open = undefined
        }
        assert.deepEqual(joined, messages)
      }),
      { seed: SEED, numRuns: 500 },
    )
  })

  it('yields the same frames when frames are left behind at a push', () => {
    fc.assert(
      fc.property(
        chunked,
        fc.array(fc.nat(3), { minLength: 40 }),
        ({ messages, chunks }, takes) => {
          const reader = backendReader()
          const seen: Buffer[] = []
          for (const [index, chunk] of chunks.entries()) {
            reader.push(chunk)
            for (let left = takes[index % takes.length] ?? 0; left > 0; left--) {
              const frame = reader.next()
              if (frame !== null) seen.push(copyFrame(frame))
            }
          }
          seen.push(...takeAll(reader).map(frame => frame.bytes))
          assert.deepEqual(seen, messages)
        },
      ),
      { seed: SEED, numRuns: 500 },
    )
  })

  it('yields the same frames when another reader goes on in between', () => {
    fc.assert(
      fc.property(
        chunked,
        fc.array(fc.nat(3), { minLength: 40 }),
        ({ messages, chunks }, takes) => {
          let reader = backendReader()
          const seen: Buffer[] = []
          for (const [index, chunk] of chunks.entries()) {
            reader.push(chunk)
            for (let left = takes[index % takes.length] ?? 0; left > 0; left--) {
              const frame = reader.next()
              if (frame !== null) seen.push(copyFrame(frame))
            }
            const rest = reader.takeRest()
            assert.ok(reader.isAtBoundary)
            reader = backendReader()
            reader.push(rest)
          }
          seen.push(...takeAll(reader).map(frame => frame.bytes))
          assert.deepEqual(seen, messages)
        },
      ),
      { seed: SEED, numRuns: 500 },
    )
  })

  it('ends the same way for any bytes at all', () => {
    const outcome = (bytes: Buffer, chunks: readonly Buffer[]) => {
      const reader = frontendReader({ maxFrameBytes: 64 })
      const seen: string[] = []
      try {
        for (const chunk of chunks) {
          reader.push(chunk)
          for (let frame = reader.next(); frame !== null; frame = reader.next()) {
            seen.push(copyFrame(frame).toString('hex'))
          }
        }
        return [...seen, `${reader.bufferedBytes} left of ${bytes.length}`]
      } catch (thrown) {
        assert.ok(thrown instanceof Error)
        return [...seen, thrown.message]
      }
    }
    const someBytes = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 8 }).map(Buffer.from),
        fc.constantFrom(
          hex('53 00000004'),
          hex('51 000000'),
          hex('51 7fffffff'),
          hex("'QPBEDCSX'"),
        ),
      ),
      { maxLength: 8 },
    )
    fc.assert(
      fc.property(someBytes, parts => {
        const bytes = Buffer.concat(parts)
        const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
        assert.deepEqual(outcome(bytes, single), outcome(bytes, [bytes]))
      }),
      { seed: SEED, numRuns: 2000 },
    )
  })
})
