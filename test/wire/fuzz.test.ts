import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { DbgateError } from '../../src/errors.ts'
import {
  BackendTag,
  backendName,
  decodeAuthentication,
  decodeBackendKeyData,
  decodeCommandComplete,
  decodeErrorFields,
  decodeFrontend,
  decodeParameterStatus,
  decodeReadyForQuery,
  decodeRowDescription,
  encodeStartupMessage,
  type Frame,
  frontendName,
  readStartupPacket,
  ScramClient,
  ScramServer,
} from '../../src/wire/index.ts'
import { frameOf, hex, readAll, readerOf } from '../helpers/bytes.ts'
import { SEED } from '../helpers/seed.ts'

/** What a decoder may throw for bytes from outside; anything else is a fault of ours. */
const REFUSALS = new Set(['PROTOCOL', 'TOO_LARGE', 'UNSUPPORTED'])

function corpus(name: string): Buffer[] {
  const text = readFileSync(new URL(`corpus/${name}.txt`, import.meta.url), 'utf8')
  return text
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(hex)
}

/** What it returns, or the code of its refusal. */
function outcome<T>(work: () => T, also: readonly string[] = []): T | string {
  try {
    return work()
  } catch (thrown) {
    assert.ok(thrown instanceof DbgateError, `${thrown}`)
    assert.ok(REFUSALS.has(thrown.code) || also.includes(thrown.code), thrown.code)
    return `${thrown.code} ${thrown.message}`
  }
}

type Mutation = (bytes: Buffer) => Buffer
const at = (bytes: Buffer, where: number) =>
  Math.min(bytes.length, Math.floor(where * bytes.length))
const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })

const EXTREMES = [
  '00',
  'ff',
  '0000',
  'ffff',
  '7fff',
  '8000',
  '00000000',
  'ffffffff',
  '7fffffff',
  '80000000',
]

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ where: place, bit: fc.nat(7) }).map(({ where, bit }) => (bytes: Buffer) => {
    const changed = Buffer.from(bytes)
    const index = at(bytes, where)
    if (index < changed.length) changed[index] = (changed[index] ?? 0) ^ (1 << bit)
    return changed
  }),
  fc
    .record({ where: place, value: fc.constantFrom(...EXTREMES) })
    .map(({ where, value }) => (bytes: Buffer) => {
      const changed = Buffer.from(bytes)
      hex(value).copy(changed, at(bytes, where))
      return changed
    }),
  place.map(where => (bytes: Buffer) => bytes.subarray(0, at(bytes, where))),
  fc
    .record({ where: place, more: fc.uint8Array({ maxLength: 6 }) })
    .map(({ where, more }) => (bytes: Buffer) => {
      const index = at(bytes, where)
      return Buffer.concat([bytes.subarray(0, index), more, bytes.subarray(index)])
    }),
  fc.record({ from: place, to: place }).map(({ from, to }) => (bytes: Buffer) => {
    const [start = 0, end = 0] = [at(bytes, from), at(bytes, to)].sort((a, b) => a - b)
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)])
  }),
)

const mutated = (name: string) =>
  fc
    .record({
      seed: fc.constantFrom(...corpus(name)),
      mutations: fc.array(mutation, { maxLength: 4 }),
    })
    .map(({ seed, mutations }) => mutations.reduce((bytes, mutate) => mutate(bytes), seed))

/** The bytes as a message with a true length, so that the decoder sees them whatever they are. */
const framed = (bytes: Buffer): Buffer => {
  const whole = Buffer.concat([bytes, Buffer.alloc(Math.max(0, 5 - bytes.length))])
  whole.writeInt32BE(whole.length - 1, 1)
  return whole
}

/** Every buffer in a decoded message. */
function buffersIn(value: unknown): Buffer[] {
  if (Buffer.isBuffer(value)) return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap(buffersIn)
}

/** Decodes between zeros and between ones: a decoder that looks outside the frame would tell them apart. */
function decodesInside(bytes: Buffer, decode: (frame: Frame) => unknown): void {
  const [frame, other] = [frameOf(bytes, 0x00), frameOf(bytes, 0xff)]
  const decoded = outcome(() => decode(frame))
  assert.deepEqual(
    outcome(() => decode(other)),
    decoded,
  )
  for (const view of buffersIn(decoded)) {
    if (view.buffer !== frame.buf.buffer || view.length === 0) continue
    const start = view.byteOffset - frame.buf.byteOffset
    assert.ok(start >= frame.start + 5 && start + view.length <= frame.end)
  }
}

const BACKEND: Readonly<Record<number, (frame: Frame) => unknown>> = {
  [BackendTag.Authentication]: decodeAuthentication,
  [BackendTag.BackendKeyData]: decodeBackendKeyData,
  [BackendTag.CommandComplete]: decodeCommandComplete,
  [BackendTag.ErrorResponse]: decodeErrorFields,
  [BackendTag.NoticeResponse]: decodeErrorFields,
  [BackendTag.ParameterStatus]: decodeParameterStatus,
  [BackendTag.ReadyForQuery]: decodeReadyForQuery,
  [BackendTag.RowDescription]: decodeRowDescription,
}

describe(`wire, hostile bytes (seed ${SEED})`, () => {
  const options = { seed: SEED, numRuns: 5000 }

  it('decodes or refuses any frontend message, inside its frame', () => {
    fc.assert(
      fc.property(mutated('frontend'), bytes => decodesInside(framed(bytes), decodeFrontend)),
      options,
    )
  })

  it('decodes or refuses any backend message, inside its frame', () => {
    fc.assert(
      fc.property(mutated('backend'), bytes => {
        const whole = framed(bytes)
        const decode = BACKEND[whole[0] ?? 0]
        if (decode !== undefined) decodesInside(whole, decode)
      }),
      options,
    )
  })

  it('cuts any stream into frames or refuses it, and loses nothing', () => {
    for (const [name, nameOf] of [
      ['frontend', frontendName],
      ['backend', backendName],
    ] as const) {
      fc.assert(
        fc.property(fc.array(mutated(name), { maxLength: 4 }), fc.nat(20), (parts, cut) => {
          const stream = Buffer.concat(parts)
          const reader = readerOf({ nameOf, maxFrameBytes: 4096 })
          outcome(() => {
            const seen = readAll(reader, [stream.subarray(0, cut), stream.subarray(cut)])
            const taken = Buffer.concat(seen.map(frame => frame.bytes))
            assert.deepEqual(stream.subarray(0, taken.length), taken)
            assert.equal(taken.length + reader.bufferedBytes, stream.length)
          })
        }),
        { ...options, numRuns: 2000 },
      )
    }
  })

  it('reads or refuses any startup packet, inside its length', () => {
    fc.assert(
      fc.property(mutated('startup'), fc.boolean(), (bytes, isTrue) => {
        const packet = Buffer.from(bytes)
        if (isTrue && packet.length >= 4) packet.writeInt32BE(packet.length)
        const alone = outcome(() => readStartupPacket(packet))
        const followed = [0x00, 0xff].map(byte => {
          const more = Buffer.concat([packet, Buffer.alloc(9, byte)])
          return outcome(() => readStartupPacket(more))
        })
        if (alone !== null) for (const other of followed) assert.deepEqual(other, alone)
        if (typeof alone === 'object' && alone !== null) assert.ok(alone.bytes <= packet.length)
      }),
      options,
    )
  })

  it('encodes only startup messages that say what was asked', () => {
    const text = fc.string({ unit: 'binary', maxLength: 12 }).filter(text => text.isWellFormed())
    const parameters = fc.array(fc.tuple(text, text), { maxLength: 5 }).map(pairs => new Map(pairs))
    fc.assert(
      fc.property(parameters, asked => {
        const encoded = outcome(() => encodeStartupMessage(asked))
        if (typeof encoded === 'string') return
        const packet = readStartupPacket(encoded)?.packet
        assert.deepEqual(packet, {
          type: 'StartupMessage',
          startup: { major: 3, minor: 0, parameters: asked },
        })
      }),
      { ...options, numRuns: 1000 },
    )
  })

  it('survives any SCRAM message on both ends', () => {
    const valid = [
      'n,,n=user,r=abc',
      'r=abcdef,s=c2FsdA==,i=1',
      `c=biws,r=abcdef,p=${'A'.repeat(43)}=`,
      `v=${'A'.repeat(43)}=`,
    ]
    const mutatedText = fc
      .record({
        seed: fc.constantFrom(...valid).map(text => Buffer.from(text, 'latin1')),
        mutations: fc.array(mutation, { maxLength: 3 }),
      })
      .map(({ seed, mutations }) =>
        mutations.reduce<Buffer>((bytes, mutate) => mutate(bytes), seed).toString('utf8'),
      )
    const verifier = {
      salt: hex('00'),
      iterations: 1,
      storedKey: Buffer.alloc(32),
      serverKey: hex('00'),
    }
    fc.assert(
      fc.property(mutatedText, mutatedText, (first, second) => {
        const server = new ScramServer(verifier, 'def')
        outcome(() => server.first(first))
        assert.doesNotMatch(`${outcome(() => server.final(second))}`, /^v=/)
        const client = new ScramClient('x', 'abc', { flag: 'n' })
        outcome(() => client.final(first), ['UNREACHABLE'])
        const verified = outcome(() => client.verify(second), ['UNREACHABLE'])
        assert.match(`${verified}`, /^UNREACHABLE/)
      }),
      options,
    )
  })
})
