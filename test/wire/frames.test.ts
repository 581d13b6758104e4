import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { BackendTag, backendName, FrontendTag, frontendName } from '../../src/wire/index.ts'
import { everyCut, hex, message, readAll, readerOf, takeAll } from '../helpers/bytes.ts'

const { CopyData, DataRow } = BackendTag
const backend = (options: { maxFrameBytes?: number; streamed?: readonly number[] } = {}) =>
  readerOf({ nameOf: backendName, ...options })
const frontend = (options: { maxFrameBytes?: number; streamed?: readonly number[] } = {}) =>
  readerOf({ nameOf: frontendName, ...options })

const syntax = (message: string) => ({ name: 'DbgateError', code: 'PROTOCOL', message })

describe('FrameReader', () => {
  it('hands out the messages of one chunk as ranges of that chunk', () => {
    const chunk = hex("43 0000000d 'SELECT 1' 00  5a 00000005 49  49 00000004")
    const reader = backend()
    reader.push(chunk)
    for (const [tag, start, end] of [
      ['C', 0, 14],
      ['Z', 14, 20],
      ['I', 20, 25],
    ] as const) {
      const frame = reader.next()
      assert.equal(frame?.buf, chunk, 'no copy')
      assert.deepEqual(
        [String.fromCharCode(frame.tag), frame.start, frame.end, frame.part],
        [tag, start, end, 'whole'],
      )
    }
    assert.equal(reader.next(), null)
    assert.equal(reader.next(), null)
  })

  it('puts a message together again at every cut, and one byte at a time', () => {
    const stream = hex(
      "51 0000000d 'select 1' 00  53 00000004  64 00000009 0000000001  58 00000004",
    )
    for (const chunks of everyCut(stream)) {
      const reader = frontend()
      const seen = readAll(reader, chunks)
      assert.deepEqual(
        seen.map(frame => `${frame.tag} ${frame.part}`),
        ['Q whole', 'S whole', 'd whole', 'X whole'],
      )
      assert.deepEqual(Buffer.concat(seen.map(frame => frame.bytes)), stream)
      assert.ok(reader.isAtBoundary)
    }
  })

  it('hands on a streamed message piece by piece at every cut, header first', () => {
    const stream = hex("64 0000000c 'abcdefgh' 64 00000004 63 00000004")
    for (const chunks of everyCut(stream)) {
      const reader = backend({ streamed: [CopyData] })
      const seen = readAll(reader, chunks)
      assert.deepEqual(Buffer.concat(seen.map(frame => frame.bytes)), stream)
      const first = seen.slice(0, seen.length - 2)
      if (first.length > 1) {
        const parts = first.map(frame => frame.part)
        const middles = Array(first.length - 2).fill('middle')
        assert.deepEqual(parts, ['head', ...middles, 'tail'])
        assert.ok(first.every(frame => frame.tag === 'd'))
        assert.deepEqual(first[0]?.bytes.subarray(0, 5), hex('64 0000000c'))
      }
      assert.deepEqual(
        seen.slice(-2).map(frame => `${frame.tag} ${frame.part}`),
        ['d whole', 'c whole'],
      )
    }
  })

  it('keeps at most the header of a streamed message', () => {
    const reader = backend({ streamed: [CopyData] })
    const body = Buffer.alloc(1000, 1)
    for (const byte of hex('64 000003ec')) {
      reader.push(Buffer.of(byte))
      takeAll(reader)
      assert.ok(reader.bufferedBytes < 5)
    }
    for (const byte of body) {
      reader.push(Buffer.of(byte))
      assert.equal(takeAll(reader)[0]?.bytes.length, 1)
      assert.equal(reader.bufferedBytes, 0)
    }
    assert.ok(reader.isAtBoundary)
  })

  it('refuses a length below 4 at every cut', () => {
    for (const [length, said] of [
      ['00000003', 3],
      ['00000000', 0],
      ['ffffffff', -1],
      ['80000000', -2147483648],
    ] as const) {
      for (const streamed of [[], [FrontendTag.Query]]) {
        for (const chunks of everyCut(hex(`51 ${length} 00000000`))) {
          const error = syntax(`invalid length ${said} of Query message`)
          assert.throws(() => readAll(frontend({ streamed }), chunks), error)
        }
      }
    }
  })

  it('refuses a byte that no message starts with as soon as it arrives', () => {
    for (const first of ["'GET / HTTP/1.1'", "'y'", '00', 'ff', '16 03 01']) {
      const reader = frontend()
      reader.push(hex(first))
      assert.throws(() => reader.next(), syntax(`invalid message type ${hex(first)[0]}`))
    }
    const behind = frontend()
    behind.push(hex('53 00000004 7a'))
    assert.equal(behind.next()?.tag, FrontendTag.Sync)
    assert.throws(() => behind.next(), syntax('invalid message type 122'))
  })

  it('tells the two directions apart', () => {
    assert.equal(readAll(frontend(), [hex('58 00000004')]).length, 1)
    assert.throws(() => readAll(backend(), [hex('58 00000004')]), syntax('invalid message type 88'))
  })

  it('refuses a message over the limit, however its bytes arrive', () => {
    const allowed = message('Q', Buffer.alloc(95, 'x'))
    const refused = message('Q', Buffer.alloc(96, 'x'))
    for (const chunks of everyCut(allowed)) {
      assert.equal(readAll(frontend({ maxFrameBytes: 100 }), chunks).length, 1)
    }
    for (const chunks of everyCut(refused)) {
      assert.throws(() => readAll(frontend({ maxFrameBytes: 100 }), chunks), {
        code: 'TOO_LARGE',
        message: 'Query message of 101 bytes exceeds the limit of 100 bytes',
      })
    }
  })

  it('refuses a message over the limit when its header is complete, before its body', () => {
    const reader = frontend({ maxFrameBytes: 1 << 24 })
    reader.push(hex('51 7fffffff'))
    assert.throws(() => reader.next(), {
      code: 'TOO_LARGE',
      message: 'Query message of 2147483648 bytes exceeds the limit of 16777216 bytes',
    })
  })

  it('puts no limit on what is streamed', () => {
    const reader = backend({ maxFrameBytes: 10, streamed: [DataRow] })
    assert.deepEqual(
      readAll(reader, [hex('44 7fffffff'), Buffer.alloc(1000)]).map(frame => frame.part),
      ['head', 'middle'],
    )
    assert.deepEqual(
      readAll(backend({ maxFrameBytes: 10, streamed: [DataRow] }), [
        message('D', Buffer.alloc(99)),
      ]).map(frame => frame.part),
      ['whole'],
    )
  })

  it('throws the same again after a violation', () => {
    for (const [chunks, options] of [
      [[hex('00 00000004')], {}],
      [[hex('51'), hex('00000003')], {}],
      [[hex('51 000000ff')], { maxFrameBytes: 100 }],
      [[hex('51 00'), hex('0000ff')], { maxFrameBytes: 100 }],
    ] as const) {
      const reader = frontend(options)
      let first: unknown
      try {
        readAll(reader, chunks)
      } catch (thrown) {
        first = thrown
      }
      assert.ok(first instanceof Error)
      reader.push(hex('53 00000004'))
      assert.throws(() => reader.next(), { message: first.message })
      assert.throws(() => reader.next(), { message: first.message })
    }
  })

  it('takes room only for bytes that arrive, not for those a header claims', () => {
    const claims = hex('51 0c000000') // 200 MB
    const readers = Array.from({ length: 50 }, () => frontend({ maxFrameBytes: 1 << 30 }))
    const before = process.memoryUsage()
    for (const reader of readers) {
      readAll(reader, [claims, ...Array.from({ length: 200 }, () => Buffer.alloc(1))])
      assert.equal(reader.bufferedBytes, 205)
    }
    const after = process.memoryUsage()
    const grown = after.arrayBuffers - before.arrayBuffers
    assert.ok(grown < 4 << 20, `${grown} bytes for 50 claims of 200 MB`)
  })

  it('puts a large message together in linear time', () => {
    // Copying all of it for each chunk would be 4,096 times 8 MB: half a minute.
    const body = Buffer.alloc(16 << 20, 7)
    const bytes = message('Q', body)
    const reader = frontend({ maxFrameBytes: 1 << 25 })
    const started = process.hrtime.bigint()
    for (let at = 0; at < bytes.length; at += 4096) {
      reader.push(bytes.subarray(at, at + 4096))
      const frame = reader.next()
      if (frame === null) continue
      assert.equal(frame.end - frame.start, bytes.length)
      assert.ok(frame.buf.length <= bytes.length, 'room for the message and no more')
      assert.ok(frame.buf.subarray(frame.start, frame.end).equals(bytes))
    }
    assert.ok(reader.isAtBoundary)
    assert.ok(process.hrtime.bigint() - started < 5_000_000_000n)
  })

  it('puts frames that were left behind before the next chunk', () => {
    const stream = hex("51 00000006 '1' 00 51 00000006 '2' 00 51 00000006 '3' 00 53 00000004")
    for (let at = 0; at <= stream.length; at++) {
      const [head, tail] = [stream.subarray(0, at), stream.subarray(at)]
      const reader = frontend()
      reader.push(head)
      const before = reader.next() // one only: the rest waits
      const seen = before === null ? '' : before.buf.subarray(before.start, before.end).toString()
      reader.push(tail)
      reader.push(Buffer.alloc(0))
      const rest = takeAll(reader).map(frame => frame.bytes.toString())
      assert.equal(seen + rest.join(''), stream.toString())
    }
  })

  it('keeps what is left behind beside the rest of a message in pieces', () => {
    const reader = backend({ streamed: [CopyData] })
    reader.push(hex("64 0000000a 'abc'"))
    assert.equal(reader.next()?.part, 'head')
    reader.push(hex("'de'"))
    reader.push(hex("'f' 63 00000004"))
    assert.deepEqual(
      takeAll(reader).map(frame => [frame.tag, frame.part, frame.bytes.toString('latin1')]),
      [
        ['d', 'tail', 'def'],
        ['c', 'whole', 'c\0\0\0\x04'],
      ],
    )
  })

  it('goes on with a message as it began when its tag is switched', () => {
    const bytes = message('D', "0001 00000004 'wxyz'")
    for (let at = 0; at <= 5; at++) {
      const reader = backend()
      readAll(reader, [bytes.subarray(0, at)])
      reader.stream(DataRow, true)
      const parts = readAll(reader, [bytes.subarray(at, 8), bytes.subarray(8)]).map(f => f.part)
      // With its header read it is whole; before, the new rule applies.
      assert.deepEqual(
        parts,
        at < 5 ? ['head', ...(at === 0 ? [] : ['middle']), 'tail'] : ['whole'],
      )
    }
    const reader = backend({ streamed: [DataRow] })
    assert.equal(readAll(reader, [bytes.subarray(0, 6)])[0]?.part, 'head')
    reader.stream(DataRow, false)
    assert.equal(readAll(reader, [bytes.subarray(6)])[0]?.part, 'tail')
    const [head, ...rest] = readAll(reader, [bytes.subarray(0, 6), bytes.subarray(6)])
    assert.equal(head?.part, 'whole')
    assert.equal(rest.length, 0)
  })

  it('gives up no rest in the middle of a message in pieces', () => {
    const reader = backend({ streamed: [CopyData] })
    readAll(reader, [hex("64 0000000a 'abc'")])
    assert.throws(() => reader.takeRest(), { code: 'INTERNAL' })
    assert.equal(readAll(reader, [hex("'def'")])[0]?.part, 'tail')
    assert.deepEqual(reader.takeRest(), hex(''))
  })

  it('lets go of a chunk once it has been read to its end', async () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage: () => void = runInNewContext('gc')
    const reader = backend({ streamed: [CopyData] })
    for (const bytes of [
      hex('5a 00000005 49'),
      hex('5a 00000005 49 5a'),
      hex('00000005 54 64 0000ffff'),
    ]) {
      const chunk = new WeakRef(Uint8Array.from(bytes).buffer)
      const read = () => {
        const buffer = chunk.deref()
        assert.ok(buffer)
        reader.push(Buffer.from(buffer))
        takeAll(reader)
      }
      read()
      await new Promise(resolve => setImmediate(resolve)) // a WeakRef holds on until the turn ends
      collectGarbage()
      assert.equal(chunk.deref(), undefined)
    }
  })

  it('counts what it keeps', () => {
    const reader = frontend()
    assert.ok(reader.isAtBoundary)
    reader.push(hex('53 00000004 51 00'))
    assert.equal(reader.bufferedBytes, 7)
    assert.equal(reader.isAtBoundary, false)
    reader.next()
    reader.next()
    assert.equal(reader.bufferedBytes, 2)
    assert.equal(reader.isAtBoundary, false)
    readAll(reader, [hex("00000a 'select'")])
    assert.equal(reader.isAtBoundary, true)
    assert.equal(reader.bufferedBytes, 0)
  })
})
