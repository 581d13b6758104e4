import { DbgateError } from '../errors.ts'
import type { Frame } from './frames.ts'
import { type BodyReader, bodyOf } from './reader.ts'
import { MAX_CANCEL_KEY_BYTES, MIN_CANCEL_KEY_BYTES } from './startup.ts'
import { BackendTag, backendName } from './tags.ts'
import { MessageWriter } from './writer.ts'

/**
 * What a backend sends, decoded where the gate must know what it says. Rows are never decoded here.
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** One column of a RowDescription: where it comes from (0 for an expression), its type and format. */
export type FieldDescription = {
  readonly name: string
  readonly tableOid: number
  readonly columnNumber: number
  readonly typeOid: number
  readonly typeSize: number
  readonly typeModifier: number
  readonly format: number
}

/** Transaction status of ReadyForQuery: idle, in a transaction, in a failed transaction. */
export type TransactionStatus = 'I' | 'T' | 'E'

/** An authentication request as the upstream states it. */
export type AuthenticationRequest =
  | { readonly type: 'Ok' }
  | { readonly type: 'CleartextPassword' }
  | { readonly type: 'MD5Password'; readonly salt: Buffer }
  | { readonly type: 'SASL'; readonly mechanisms: readonly string[] }
  | { readonly type: 'SASLContinue' | 'SASLFinal'; readonly text: string }
  | { readonly type: 'Unsupported'; readonly code: number }

/** Fields of an ErrorResponse or NoticeResponse by their one-letter code: S V C M D H P …. */
export type ErrorFields = ReadonlyMap<string, string>

/** Throws: PROTOCOL (08P01). */
export function decodeRowDescription(frame: Frame): readonly FieldDescription[] {
  const body = bodyOf(frame, 'RowDescription')
  const fields = body.list(19, () => ({
    name: body.cstring(),
    tableOid: body.uint32(),
    columnNumber: body.int16(),
    typeOid: body.uint32(),
    typeSize: body.int16(),
    typeModifier: body.int32(),
    format: body.int16(),
  }))
  body.finish()
  return fields
}

/** Decodes an ErrorResponse or a NoticeResponse. Throws: PROTOCOL (08P01). */
export function decodeErrorFields(frame: Frame): ErrorFields {
  const body = bodyOf(frame, backendName(frame.tag) ?? 'ErrorResponse')
  const fields = new Map<string, string>()
  for (let code = body.byte(); code !== 0; code = body.byte()) {
    fields.set(String.fromCharCode(code), body.cstring())
  }
  body.finish()
  return fields
}

/** The command tag, such as `UPDATE 3`. Throws: PROTOCOL (08P01). */
export function decodeCommandComplete(frame: Frame): string {
  const body = bodyOf(frame, 'CommandComplete')
  const tag = body.cstring()
  body.finish()
  return tag
}

/** Throws: PROTOCOL (08P01) for a status that is none of I, T, E. */
export function decodeReadyForQuery(frame: Frame): TransactionStatus {
  const body = bodyOf(frame, 'ReadyForQuery')
  const status = String.fromCharCode(body.byte())
  body.finish()
  if (status === 'I' || status === 'T' || status === 'E') return status
  throw new DbgateError('PROTOCOL', 'malformed ReadyForQuery message: unknown transaction status')
}

/** Throws: PROTOCOL (08P01). */
export function decodeParameterStatus(frame: Frame): readonly [name: string, value: string] {
  const body = bodyOf(frame, 'ParameterStatus')
  const pair = [body.cstring(), body.cstring()] as const
  body.finish()
  return pair
}

/**
 * The upstream's process id and cancel key: 4 bytes in protocol 3.0, up to 256 in 3.2.
 * Ownership: the key is a copy.
 *
 * Throws: PROTOCOL (08P01).
 */
export function decodeBackendKeyData(frame: Frame): {
  readonly pid: number
  readonly secret: Buffer
} {
  const body = bodyOf(frame, 'BackendKeyData')
  const pid = body.int32()
  const keyBytes = body.remaining
  if (keyBytes < MIN_CANCEL_KEY_BYTES || keyBytes > MAX_CANCEL_KEY_BYTES) {
    throw new DbgateError('PROTOCOL', `malformed BackendKeyData message: key of ${keyBytes} bytes`)
  }
  return { pid, secret: Buffer.from(body.bytes(keyBytes)) }
}

/** Throws: PROTOCOL (08P01). */
export function decodeAuthentication(frame: Frame): AuthenticationRequest {
  const body = bodyOf(frame, 'Authentication')
  const code = body.int32()
  const request = decodeRequest(code, body)
  // What we do not know has a shape we do not know either.
  if (request.type !== 'Unsupported') body.finish()
  return request
}

function decodeRequest(code: number, body: BodyReader): AuthenticationRequest {
  switch (code) {
    case 0:
      return { type: 'Ok' }
    case 3:
      return { type: 'CleartextPassword' }
    case 5:
      return { type: 'MD5Password', salt: Buffer.from(body.bytes(4)) }
    case 10:
      return { type: 'SASL', mechanisms: decodeMechanisms(body) }
    case 11:
      return { type: 'SASLContinue', text: body.bytes(body.remaining).toString('utf8') }
    case 12:
      return { type: 'SASLFinal', text: body.bytes(body.remaining).toString('utf8') }
    default:
      return { type: 'Unsupported', code }
  }
}

function decodeMechanisms(body: BodyReader): readonly string[] {
  const mechanisms: string[] = []
  for (let name = body.cstring(); name !== ''; name = body.cstring()) mechanisms.push(name)
  return mechanisms
}

export function encodeAuthenticationOk(): Buffer {
  return new MessageWriter('AuthenticationOk', BackendTag.Authentication).int32(0).end()
}

export function encodeAuthenticationSASL(mechanisms: readonly string[]): Buffer {
  const writer = new MessageWriter('AuthenticationSASL', BackendTag.Authentication).int32(10)
  for (const mechanism of mechanisms) writer.cstring(mechanism, 'mechanism')
  return writer.byte(0).end()
}

export function encodeAuthenticationSASLContinue(text: string): Buffer {
  return new MessageWriter('AuthenticationSASLContinue', BackendTag.Authentication)
    .int32(11)
    .raw(Buffer.from(text, 'utf8'))
    .end()
}

export function encodeAuthenticationSASLFinal(text: string): Buffer {
  return new MessageWriter('AuthenticationSASLFinal', BackendTag.Authentication)
    .int32(12)
    .raw(Buffer.from(text, 'utf8'))
    .end()
}

export function encodeAuthenticationCleartextPassword(): Buffer {
  return new MessageWriter('AuthenticationCleartextPassword', BackendTag.Authentication)
    .int32(3)
    .end()
}

export function encodeParameterStatus(name: string, value: string): Buffer {
  return new MessageWriter('ParameterStatus', BackendTag.ParameterStatus)
    .cstring(name, 'name')
    .cstring(value, 'value')
    .end()
}

/** @param secret 4 bytes towards a client of protocol 3.0, up to 256 towards one of 3.2 */
export function encodeBackendKeyData(pid: number, secret: Buffer): Buffer {
  return new MessageWriter('BackendKeyData', BackendTag.BackendKeyData).int32(pid).raw(secret).end()
}

/** Tells a client which minor version is spoken and which `_pq_.` options were not recognised. */
export function encodeNegotiateProtocolVersion(
  minor: number,
  unrecognised: readonly string[],
): Buffer {
  const writer = new MessageWriter('NegotiateProtocolVersion', BackendTag.NegotiateProtocolVersion)
    .int32((3 << 16) | minor)
    .int32(unrecognised.length)
  for (const option of unrecognised) writer.cstring(option, 'option')
  return writer.end()
}

export function encodeReadyForQuery(status: TransactionStatus): Buffer {
  return new MessageWriter('ReadyForQuery', BackendTag.ReadyForQuery)
    .byte(status.charCodeAt(0))
    .end()
}

/**
 * A DbgateError as PostgreSQL would say it. Field n (constraint name) is the policy's rule, for programs; field R
 * (routine) is `dbgate:CODE`, so that anyone can tell
 * the gate's errors from the server's. NULs in foreign text become U+FFFD: an error must always go out.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-error-fields.html
 */
export function encodeErrorResponse(
  error: DbgateError,
  extra: { readonly position?: number; readonly severity?: 'ERROR' | 'FATAL' } = {},
): Buffer {
  const position = extra.position === undefined ? undefined : String(extra.position)
  const severity = extra.severity ?? error.severity
  return encodeFields('ErrorResponse', BackendTag.ErrorResponse, [
    ['S', severity],
    ['V', severity],
    ['C', error.sqlstate],
    ['M', error.message],
    ['D', error.detail],
    ['H', error.hint],
    ['P', position],
    ['n', error.rule],
    ['R', `dbgate:${error.code}`],
  ])
}

/** @param tag such as `SELECT 3` */
export function encodeCommandComplete(tag: string): Buffer {
  return new MessageWriter('CommandComplete', BackendTag.CommandComplete).cstring(tag, 'tag').end()
}

/** A NotificationResponse without a payload. `channel` is its bytes as they came. */
export function encodeNotification(pid: number, channel: Buffer): Buffer {
  return new MessageWriter('NotificationResponse', BackendTag.NotificationResponse)
    .int32(pid)
    .raw(channel)
    .byte(0)
    .byte(0)
    .end()
}

/** A NOTICE from the gate, or a WARNING. */
export function encodeNotice(
  message: string,
  more: { detail?: string; hint?: string } = {},
  severity: 'NOTICE' | 'WARNING' = 'NOTICE',
): Buffer {
  return encodeFields('NoticeResponse', BackendTag.NoticeResponse, [
    ['S', severity],
    ['V', severity],
    ['C', severity === 'NOTICE' ? '00000' : '01000'],
    ['M', message],
    ['D', more.detail],
    ['H', more.hint],
    ['R', 'dbgate'],
  ])
}

function encodeFields(
  message: string,
  tag: number,
  fields: readonly (readonly [code: string, value: string | undefined])[],
): Buffer {
  const writer = new MessageWriter(message, tag)
  for (const [code, value] of fields) {
    if (value === undefined) continue
    writer.byte(code.charCodeAt(0)).cstring(value.replaceAll('\0', '\ufffd'), code)
  }
  return writer.byte(0).end()
}
