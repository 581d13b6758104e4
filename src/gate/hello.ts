import type { Duplex } from 'node:stream'
import { DbgateError } from '../errors.ts'
import { readStartupPacket, type StartupPacket } from '../wire/index.ts'

type Opening = Exclude<StartupPacket, { type: 'SSLRequest' | 'GSSENCRequest' }>

/** The first thing a person's tool says, and what it sent right behind it. */
export type Hello<P extends StartupPacket = Opening> = { readonly packet: P; readonly rest: Buffer }

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
  return readUntil(stream, timeoutMs, isOpening)
}

/** As `readHello`, on a line that is not encrypted yet: an SSLRequest comes back to be answered. */
export function readPlainHello(
  stream: Duplex,
  timeoutMs: number,
): Promise<Hello<OpeningOrSsl> | null> {
  return readUntil(stream, timeoutMs, isOpeningOrSsl)
}

type OpeningOrSsl = Opening | { readonly type: 'SSLRequest' }

function isOpeningOrSsl(packet: StartupPacket): packet is OpeningOrSsl {
  return isOpening(packet) || packet.type === 'SSLRequest'
}

function isOpening(packet: StartupPacket): packet is Opening {
  return packet.type === 'StartupMessage' || packet.type === 'CancelRequest'
}

function readUntil<P extends StartupPacket>(
  stream: Duplex,
  timeoutMs: number,
  isWanted: (packet: StartupPacket) => packet is P,
): Promise<Hello<P> | null> {
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
          const rest = buf.subarray(read.bytes)
          buf = rest
          if (isWanted(packet)) {
            settle(() => resolve({ packet, rest }))
            return
          }
          asked += 1
          if (asked > MAX_ENCRYPTION_REQUESTS) {
            throw new DbgateError('PROTOCOL', 'invalid startup packet')
          }
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
