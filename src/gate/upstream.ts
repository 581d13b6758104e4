import type { Credential, TargetConfig } from '../config/index.ts'
import { DbgateError } from '../errors.ts'
import {
  type AuthenticationRequest,
  BackendTag,
  backendName,
  type ChannelBinding,
  copyFrame,
  decodeAuthentication,
  decodeBackendKeyData,
  decodeErrorFields,
  decodeParameterStatus,
  decodeReadyForQuery,
  encodeCancelRequest,
  encodePassword,
  encodeSASLInitialResponse,
  encodeSASLResponse,
  encodeStartupMessage,
  type Frame,
  FrameReader,
  md5Password,
  SCRAM,
  SCRAM_PLUS,
  ScramClient,
} from '../wire/index.ts'
import { Conversation } from './conversation.ts'
import { dial, type Line } from './dial.ts'

/** A connection to the database that is logged in and idle. The cancel key never leaves the gate. */
export type Upstream = {
  readonly socket: Line['socket']
  /** Holds what the server sent beyond its first ReadyForQuery. */
  readonly reader: FrameReader
  readonly pid: number
  readonly secret: Buffer
  /** ParameterStatus and NoticeResponse messages of the start, as they came, for the person. */
  readonly greeting: readonly Buffer[]
  readonly settings: ReadonlyMap<string, string>
}

export type UpstreamOptions = {
  readonly target: TargetConfig
  readonly credential: Credential
  /** Startup parameters besides user and database. */
  readonly parameters: ReadonlyMap<string, string>
  readonly database: string
  readonly timeoutMs: number
  readonly maxFrameBytes: number
  readonly nonce: () => string
}

/**
 * Connects to a target's server and logs in with the gate's own credential: trust, cleartext, MD5,
 * SCRAM-SHA-256, and -PLUS where the connection has TLS and the server offers it.
 *
 * Throws: UNREACHABLE (08001) no connection, or the credential was refused; a `ServerRefusal` for what the
 * server itself says about the person's request (unknown database, too many connections).
 */
export async function openUpstream(options: UpstreamOptions): Promise<Upstream> {
  const { target, timeoutMs } = options
  const line = await dial(target, timeoutMs)
  const reader = new FrameReader({
    nameOf: backendName,
    maxFrameBytes: options.maxFrameBytes,
    streamed: [BackendTag.DataRow, BackendTag.CopyData],
  })
  const conversation = new Conversation(line.socket, reader, cause => lost(target, cause))
  const timer = setTimeout(() => conversation.fail(lost(target)), timeoutMs)
  try {
    line.socket.write(
      encodeStartupMessage(
        new Map([
          ['user', options.credential.user],
          ['database', options.database],
          ...options.parameters,
        ]),
      ),
    )
    await authenticate(conversation, line, options)
    return await untilReady(conversation, line)
  } catch (error) {
    line.socket.on('error', () => undefined)
    line.socket.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Uses a login, and if the database refuses it, forgets it and asks for it anew: it may have been changed since it
 * was told. One that is told again as it was is not tried again.
 *
 * Throws: what `told` and `use` throw.
 */
export async function withLogin<T>(
  told: () => Promise<Credential>,
  forget: () => void,
  use: (credential: Credential) => Promise<T>,
): Promise<T> {
  const first = await told()
  try {
    return await use(first)
  } catch (refusal) {
    if (!(refusal instanceof LoginRefusal)) throw refusal
    forget()
    const second = await told()
    if (second.user === first.user && second.password === first.password) throw refusal
    return use(second)
  }
}

/** The database refused the gate's own login. */
export class LoginRefusal extends DbgateError {}

/** What the database said when it turned the connection down, to be passed on as it is. */
export class ServerRefusal extends Error {
  /** The ErrorResponse as it came. */
  readonly frame: Buffer
  readonly sqlstate: string

  constructor(frame: Buffer, sqlstate: string) {
    super(`the database refused the connection (${sqlstate})`)
    this.frame = frame
    this.sqlstate = sqlstate
  }
}

/**
 * Asks the server to cancel what one of its processes is doing, over a connection of its own as secure as
 * the session's. Returns when the server has taken note (it closes without an answer).
 *
 * Throws: UNREACHABLE (08001).
 */
export async function cancelUpstream(
  target: TargetConfig,
  pid: number,
  secret: Buffer,
  timeoutMs: number,
): Promise<void> {
  const { socket } = await dial(target, timeoutMs)
  await new Promise<void>(resolve => {
    socket.setTimeout(timeoutMs, () => socket.destroy())
    socket.once('error', () => undefined)
    socket.once('close', () => resolve())
    socket.once('end', () => socket.destroy())
    socket.resume()
    socket.write(encodeCancelRequest(pid, secret))
  })
}

async function authenticate(
  conversation: Conversation,
  line: Line,
  options: UpstreamOptions,
): Promise<void> {
  const { user, password } = options.credential
  for (;;) {
    const request = await nextAuthentication(conversation, options.target)
    switch (request.type) {
      case 'Ok':
        return
      case 'CleartextPassword':
        line.socket.write(encodePassword(password))
        break
      case 'MD5Password':
        line.socket.write(encodePassword(md5Password(user, password, request.salt)))
        break
      case 'SASL':
        await scram(conversation, line, request.mechanisms, options)
        break
      default:
        throw new DbgateError(
          'UNREACHABLE',
          `dbgate: the database behind ${options.target.name} asks for an authentication method the gate does not know`,
        )
    }
  }
}

async function scram(
  conversation: Conversation,
  line: Line,
  mechanisms: readonly string[],
  options: UpstreamOptions,
): Promise<void> {
  const { target, credential } = options
  const hasPlus = mechanisms.includes(SCRAM_PLUS) && line.certificateHash !== undefined
  if (!hasPlus && !mechanisms.includes(SCRAM)) {
    throw new DbgateError(
      'UNREACHABLE',
      `dbgate: the database behind ${target.name} offers no SASL mechanism the gate knows`,
    )
  }
  const client = new ScramClient(credential.password, options.nonce(), bindingOf(line, hasPlus))
  line.socket.write(encodeSASLInitialResponse(hasPlus ? SCRAM_PLUS : SCRAM, client.first()))
  const first = await nextAuthentication(conversation, target)
  if (first.type !== 'SASLContinue') throw lost(target)
  line.socket.write(encodeSASLResponse(client.final(first.text)))
  const final = await nextAuthentication(conversation, target)
  if (final.type !== 'SASLFinal') throw lost(target)
  client.verify(final.text)
}

function bindingOf(line: Line, hasPlus: boolean): ChannelBinding {
  if (line.certificateHash === undefined) return { flag: 'n' }
  if (!hasPlus) return { flag: 'y' }
  return { flag: 'p=tls-server-end-point', certificateHash: line.certificateHash }
}

async function nextAuthentication(
  conversation: Conversation,
  target: TargetConfig,
): Promise<AuthenticationRequest> {
  for (;;) {
    const frame = await conversation.next()
    if (frame.tag === BackendTag.Authentication) return decodeAuthentication(frame)
    if (frame.tag === BackendTag.ErrorResponse) throw refusalOf(frame, target)
    if (frame.tag !== BackendTag.NoticeResponse) throw lost(target)
  }
}

async function untilReady(conversation: Conversation, line: Line): Promise<Upstream> {
  const greeting: Buffer[] = []
  const settings = new Map<string, string>()
  let key: { readonly pid: number; readonly secret: Buffer } = { pid: 0, secret: Buffer.alloc(0) }
  for (;;) {
    const frame = await conversation.next()
    switch (frame.tag) {
      case BackendTag.ParameterStatus: {
        const [name, value] = decodeParameterStatus(frame)
        settings.set(name, value)
        greeting.push(copyFrame(frame))
        break
      }
      case BackendTag.NoticeResponse:
        greeting.push(copyFrame(frame))
        break
      case BackendTag.BackendKeyData:
        key = decodeBackendKeyData(frame)
        break
      case BackendTag.ReadyForQuery:
        decodeReadyForQuery(frame)
        return { socket: line.socket, reader: conversation.release(), ...key, greeting, settings }
      case BackendTag.ErrorResponse:
        throw new ServerRefusal(copyFrame(frame), decodeErrorFields(frame).get('C') ?? '')
      default:
        throw new DbgateError('UPSTREAM', `the database sent ${backendName(frame.tag)} at startup`)
    }
  }
}

/**
 * An error that answers the gate's own credential is the operator's to mend: a person who was shown 28P01
 * would type passwords at it. Everything else is about what the person asked for.
 */
function refusalOf(frame: Frame, target: TargetConfig): Error {
  const fields = decodeErrorFields(frame)
  const sqlstate = fields.get('C') ?? ''
  if (!sqlstate.startsWith('28')) return new ServerRefusal(copyFrame(frame), sqlstate)
  return new LoginRefusal(
    'UNREACHABLE',
    `dbgate: the database behind ${target.name} refused the gate's own login (${sqlstate})`,
    {
      hint: 'Whoever runs the gate must mend the credential of this target.',
      cause: fields.get('M'),
    },
  )
}

function lost(target: TargetConfig, cause?: unknown): DbgateError {
  return new DbgateError(
    'UNREACHABLE',
    `dbgate: the database behind ${target.name} closed the connection during login`,
    { cause },
  )
}
