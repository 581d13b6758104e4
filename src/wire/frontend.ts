import { serialize } from 'pg-protocol'
import { DbgateError } from '../errors.ts'
import type { Frame } from './frames.ts'
import { type BodyReader, bodyOf } from './reader.ts'
import { FrontendTag } from './tags.ts'

/**
 * What a frontend sends, decoded where the gate must know what it says; everything else is relayed as bytes.
 * Names of prepared statements and portals are ASCII and at most 63 bytes, see `decodeName`.
 * Text is the raw bytes, because their meaning depends on client_encoding.
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export type FrontendMessage =
  | { readonly type: 'Query'; readonly text: Buffer }
  | {
      readonly type: 'Parse'
      readonly name: string
      readonly text: Buffer
      readonly parameterTypes: readonly number[]
    }
  | {
      readonly type: 'Bind'
      readonly portal: string
      readonly statement: string
      readonly parameters: readonly Parameter[]
      readonly resultFormats: readonly number[]
    }
  | {
      readonly type: 'Describe' | 'Close'
      readonly kind: 'statement' | 'portal'
      readonly name: string
    }
  | { readonly type: 'Execute'; readonly portal: string; readonly maxRows: number }
  | { readonly type: 'Sync' | 'Flush' | 'CopyDone' | 'Terminate' | 'CopyData' }
  | { readonly type: 'CopyFail' | 'PasswordMessage' }
  | {
      readonly type: 'FunctionCall'
      readonly functionOid: number
      readonly parameters: readonly Parameter[]
    }

/** One bound value: null for SQL NULL. `binary` is its format code. Ownership: a view into the message. */
export type Parameter = { readonly bytes: Buffer | null; readonly binary: boolean }

const [STATEMENT, PORTAL] = [0x53, 0x50]
/** NAMEDATALEN - 1, of which PostgreSQL's hash tables of statements and portals make their keys. */
const MAX_NAME_BYTES = 63
const ASCII = /^[\x01-\x7e]*$/

/**
 * Decodes one whole frontend frame. Ownership: buffers in the result are views into the frame.
 *
 * Throws: PROTOCOL (08P01) for a body that is not exactly what the manual says; UNSUPPORTED (0A000) for
 * a name that PostgreSQL might take for another one.
 */
export function decodeFrontend(frame: Frame): FrontendMessage {
  switch (frame.tag) {
    case FrontendTag.Query:
      return decodeQuery(frame)
    case FrontendTag.Parse:
      return decodeParse(frame)
    case FrontendTag.Bind:
      return decodeBind(frame)
    case FrontendTag.Describe:
      return decodeNamed('Describe', frame)
    case FrontendTag.Close:
      return decodeNamed('Close', frame)
    case FrontendTag.Execute:
      return decodeExecute(frame)
    case FrontendTag.Sync:
      return decodeEmpty('Sync', frame)
    case FrontendTag.Flush:
      return decodeEmpty('Flush', frame)
    case FrontendTag.CopyDone:
      return decodeEmpty('CopyDone', frame)
    case FrontendTag.Terminate:
      return { type: 'Terminate' }
    case FrontendTag.CopyData:
      return { type: 'CopyData' }
    case FrontendTag.CopyFail:
      return { type: 'CopyFail' }
    case FrontendTag.FunctionCall:
      return decodeFunctionCall(frame)
    case FrontendTag.PasswordMessage:
      return { type: 'PasswordMessage' }
    default:
      throw new DbgateError('PROTOCOL', `invalid frontend message type ${frame.tag}`)
  }
}

function decodeEmpty(type: 'Sync' | 'Flush' | 'CopyDone', frame: Frame): FrontendMessage {
  bodyOf(frame, type).finish()
  return { type }
}

function decodeQuery(frame: Frame): FrontendMessage {
  const body = bodyOf(frame, 'Query')
  const text = body.cstringBytes()
  body.finish()
  return { type: 'Query', text }
}

function decodeParse(frame: Frame): FrontendMessage {
  const body = bodyOf(frame, 'Parse')
  const name = decodeName(body, 'prepared statement')
  const text = body.cstringBytes()
  const parameterTypes = body.list(4, () => body.uint32())
  body.finish()
  return { type: 'Parse', name, text, parameterTypes }
}

function decodeBind(frame: Frame): FrontendMessage {
  const body = bodyOf(frame, 'Bind')
  const portal = decodeName(body, 'portal')
  const statement = decodeName(body, 'prepared statement')
  const parameters = decodeParameters(body, 'bind')
  const resultFormats = body.list(2, () => body.int16())
  body.finish()
  return { type: 'Bind', portal, statement, parameters, resultFormats }
}

function decodeFunctionCall(frame: Frame): FrontendMessage {
  const body = bodyOf(frame, 'FunctionCall')
  const functionOid = body.uint32()
  const parameters = decodeParameters(body, 'function call')
  body.int16()
  body.finish()
  return { type: 'FunctionCall', functionOid, parameters }
}

/** Format codes (none, one for all, or one each), then the values. */
function decodeParameters(body: BodyReader, message: string): readonly Parameter[] {
  const formats = body.list(2, () => body.int16())
  const count = body.count(4)
  if (formats.length > 1 && formats.length !== count) {
    throw new DbgateError(
      'PROTOCOL',
      `${message} message has ${formats.length} parameter formats but ${count} parameters`,
    )
  }
  const parameters: Parameter[] = []
  for (let index = 0; index < count; index++) {
    const length = body.int32()
    const format = formats.length === 1 ? formats[0] : (formats[index] ?? 0)
    parameters.push({ bytes: length === -1 ? null : body.bytes(length), binary: format === 1 })
  }
  return parameters
}

function decodeNamed(type: 'Describe' | 'Close', frame: Frame): FrontendMessage {
  const body = bodyOf(frame, type)
  const kind = body.byte()
  if (kind !== STATEMENT && kind !== PORTAL) {
    throw new DbgateError('PROTOCOL', `invalid ${type.toUpperCase()} message subtype ${kind}`)
  }
  const name = decodeName(body, kind === STATEMENT ? 'prepared statement' : 'portal')
  body.finish()
  return { type, kind: kind === STATEMENT ? 'statement' : 'portal', name }
}

function decodeExecute(frame: Frame): FrontendMessage {
  const body = bodyOf(frame, 'Execute')
  const portal = decodeName(body, 'portal')
  const maxRows = body.int32()
  body.finish()
  return { type: 'Execute', portal, maxRows }
}

/**
 * A name of a statement or portal that means one thing to the gate and to PostgreSQL. PostgreSQL cuts
 * names to 63 bytes without a word and reads them in the client_encoding of the moment, so two names could
 * be one statement there, or one name two: what is then executed would not be what was judged.
 */
function decodeName(body: BodyReader, what: 'prepared statement' | 'portal'): string {
  const bytes = body.cstringBytes()
  if (bytes.length === 0) return ''
  if (bytes.length > MAX_NAME_BYTES) {
    throw new DbgateError('UNSUPPORTED', `${what} name of ${bytes.length} bytes is too long`, {
      detail: `PostgreSQL tells names apart by their first ${MAX_NAME_BYTES} bytes.`,
    })
  }
  const name = bytes.toString('latin1')
  if (!ASCII.test(name)) throw new DbgateError('UNSUPPORTED', `${what} name is not plain ASCII`)
  return name
}

/** A simple Query of the gate's own. Throws: PROTOCOL (08P01) for a NUL. */
export function encodeQuery(text: string): Buffer {
  return serialize.query(withoutNul(text, 'text of Query'))
}

/** A Parse of the gate's own, parameter types left to the server. Throws: PROTOCOL (08P01) for a NUL. */
export function encodeParse(name: string, text: string): Buffer {
  return serialize.parse({
    name: withoutNul(name, 'name of Parse'),
    text: withoutNul(text, 'text of Parse'),
  })
}

/** Asks what the rows of a portal will be. Throws: PROTOCOL (08P01) for a NUL. */
export function encodeDescribePortal(portal: string): Buffer {
  return serialize.describe({ type: 'P', name: withoutNul(portal, 'portal of Describe') })
}

/** An Execute without row limit. Throws: PROTOCOL (08P01) for a NUL. */
export function encodeExecute(portal: string): Buffer {
  return serialize.execute({ portal: withoutNul(portal, 'portal of Execute') })
}

export function encodeFlush(): Buffer {
  return serialize.flush()
}

export function encodeSync(): Buffer {
  return serialize.sync()
}

export function encodeTerminate(): Buffer {
  return serialize.end()
}

/** A cleartext or MD5 answer to an authentication request. Throws: PROTOCOL (08P01) for a NUL. */
export function encodePassword(password: string): Buffer {
  return serialize.password(withoutNul(password, 'password'))
}

export function encodeSASLInitialResponse(mechanism: string, response: string): Buffer {
  return serialize.sendSASLInitialResponseMessage(mechanism, withoutNul(response, 'SASL response'))
}

export function encodeSASLResponse(response: string): Buffer {
  return serialize.sendSCRAMClientFinalMessage(response)
}

/** pg-protocol writes strings as they are; a NUL inside one would end it early and start the next field. */
function withoutNul(text: string, field: string): string {
  if (text.includes('\0')) throw new DbgateError('PROTOCOL', `${field} contains a NUL byte`)
  return text
}
