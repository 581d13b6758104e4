import type { Duplex } from 'node:stream'
import { DbgateError } from '../errors.ts'
import { readStartupPacket, type StartupPacket } from '../wire/index.ts'

/** The first thing a person's tool says, and what it sent right behind it. */
export type Hello = {
  readonly packet: Exclude<StartupPacket, { type: 'SSLRequest' | 'GSSENCRequest' }>
  readonly rest: Buffer
}

const NOT_HERE = Buffer.from('N')
/** A tool asks for GSS, then for TLS, then starts. */
const MAX_ENCRYPTION_REQUESTS = 2

/**
 * Reads the StartupMessage or CancelRequest of a new connection; offers of encryption are declined, because
 * the line below is encrypted already. The stream is left paused, without listeners.
 *
 * Throws: PROTOCOL (08P01) for a malformed packet; null comes back when the peer leaves or takes too long.
 */
export function readHello(stream: Duplex, timeoutMs: number): Promise<Hello | null> {
  return new Promise((resolve, reject) => {
    let buf = Buffer.alloc(0)
    let asked = 0
    const settle = (end: () => void): void => {
      clearTimeout(timer)
      stream.pause()
      stream.off('data', onChunk)
      for (const event of ['end', 'close', 'error']) stream.off(event, onGone)
      end()
    }
    const onGone = (): void => settle(() => resolve(null))
    const onChunk = (chunk: Buffer): void => {
      buf = Buffer.concat([buf, chunk])
      try {
        for (let read = readStartupPacket(buf); read !== null; read = readStartupPacket(buf)) {
          const { packet } = read
          buf = buf.subarray(read.bytes)
          if (packet.type === 'StartupMessage' || packet.type === 'CancelRequest') {
            settle(() => resolve({ packet, rest: buf }))
            return
          }
          asked += 1
          if (asked > MAX_ENCRYPTION_REQUESTS)
            throw new DbgateError('PROTOCOL', 'invalid startup packet')
          stream.write(NOT_HERE)
        }
      } catch (error) {
        settle(() => reject(error))
      }
    }
    const timer = setTimeout(onGone, timeoutMs)
    stream.on('data', onChunk)
    for (const event of ['end', 'close', 'error']) stream.once(event, onGone)
  })
}
