import { DbgateError } from '../errors.ts'
import { BodyReader } from './reader.ts'
import { MessageWriter } from './writer.ts'

/**
 * The untagged packets that open a connection.
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html (StartupMessage,
 * SSLRequest, GSSENCRequest, CancelRequest) and src/include/libpq/pqcomm.h.
 */
export type StartupPacket =
  | { readonly type: 'StartupMessage'; readonly startup: StartupMessage }
  | { readonly type: 'SSLRequest' }
  | { readonly type: 'GSSENCRequest' }
  | { readonly type: 'CancelRequest'; readonly pid: number; readonly secret: Buffer }

/** Shape: protocol version as major and minor; parameters in the order they came, names unique. */
export type StartupMessage = {
  readonly major: number
  readonly minor: number
  readonly parameters: ReadonlyMap<string, string>
}

const LENGTH_BYTES = 4

/** PostgreSQL's own bound: its length field, and MAX_STARTUP_PACKET_LENGTH of pqcomm.h after it. */
export const MAX_STARTUP_BYTES = LENGTH_BYTES + 10_000

/** Protocol 3.2 (PostgreSQL 18) differs from 3.0, where it is 4 bytes, in the length of cancel keys. */
export const MIN_CANCEL_KEY_BYTES = 4
export const MAX_CANCEL_KEY_BYTES = 256

const CANCEL_REQUEST = (1234 << 16) | 5678
const SSL_REQUEST = (1234 << 16) | 5679
const GSSENC_REQUEST = (1234 << 16) | 5680

/**
 * Reads one startup packet from the beginning of `buf`: the packet and its length in bytes, or null when
 * more bytes are needed.
 *
 * Throws: PROTOCOL (08P01) for what PostgreSQL calls an invalid startup packet, before buffering its body.
 */
export function readStartupPacket(
  buf: Buffer,
): { readonly packet: StartupPacket; readonly bytes: number } | null {
  if (buf.length < LENGTH_BYTES) return null
  const bytes = buf.readInt32BE(0)
  if (bytes < 2 * LENGTH_BYTES || bytes > MAX_STARTUP_BYTES) {
    throw new DbgateError('PROTOCOL', 'invalid length of startup packet')
  }
  if (buf.length < bytes) return null
  return { packet: decodePacket(new BodyReader(buf, LENGTH_BYTES, bytes, 'startup')), bytes }
}

function decodePacket(body: BodyReader): StartupPacket {
  const code = body.int32()
  if (code === SSL_REQUEST || code === GSSENC_REQUEST) {
    body.finish()
    return { type: code === SSL_REQUEST ? 'SSLRequest' : 'GSSENCRequest' }
  }
  if (code === CANCEL_REQUEST) {
    const pid = body.int32()
    const keyBytes = body.remaining
    if (keyBytes < MIN_CANCEL_KEY_BYTES || keyBytes > MAX_CANCEL_KEY_BYTES) {
      throw new DbgateError('PROTOCOL', 'invalid length of cancel request key')
    }
    return { type: 'CancelRequest', pid, secret: Buffer.from(body.bytes(keyBytes)) }
  }
  const major = code >>> 16
  const minor = code & 0xffff
  if (major !== 3) {
    throw new DbgateError(
      'UNSUPPORTED',
      `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.2`,
    )
  }
  return { type: 'StartupMessage', startup: { major, minor, parameters: decodeParameters(body) } }
}

function decodeParameters(body: BodyReader): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  for (;;) {
    const name = body.cstring()
    if (name === '') break
    // The last one wins in PostgreSQL; two readers could choose differently, so a repeat is refused.
    if (parameters.has(name)) {
      throw new DbgateError('PROTOCOL', `startup parameter ${JSON.stringify(name)} is given twice`)
    }
    parameters.set(name, body.cstring())
  }
  body.finish()
  return parameters
}

/**
 * A request for protocol 3.0.
 *
 * Throws: PROTOCOL (08P01) if a name or value holds a NUL or a name is empty, which would end the list
 * early; the error names the parameter, not the value.
 */
export function encodeStartupMessage(parameters: ReadonlyMap<string, string>): Buffer {
  const writer = new MessageWriter('StartupMessage').int32(3 << 16)
  for (const [name, value] of parameters) {
    if (name === '') throw new DbgateError('PROTOCOL', 'parameter name of StartupMessage is empty')
    writer.cstring(name, 'parameter name').cstring(value, `parameter ${JSON.stringify(name)}`)
  }
  return writer.byte(0).end()
}

export function encodeSSLRequest(): Buffer {
  return new MessageWriter('SSLRequest').int32(SSL_REQUEST).end()
}

/** @param secret the cancel key as it came in BackendKeyData: 4 bytes in protocol 3.0, up to 256 in 3.2 */
export function encodeCancelRequest(pid: number, secret: Buffer): Buffer {
  return new MessageWriter('CancelRequest').int32(CANCEL_REQUEST).int32(pid).raw(secret).end()
}
