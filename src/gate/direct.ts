import { createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import { asDbgateError, DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import {
  BodyReader,
  encodeAuthenticationCleartextPassword,
  encodeErrorResponse,
  FrameReader,
  FrontendTag,
  frontendName,
  type StartupMessage,
} from '../wire/index.ts'
import { Conversation } from './conversation.ts'
import { endGently } from './farewell.ts'
import type { Gate } from './gate.ts'
import { readHello, readPlainHello } from './hello.ts'

export type DirectOptions = {
  readonly gate: Gate
  readonly cert: string | Buffer
  readonly key: string | Buffer
  readonly startupMs: number
  /** Throws UNAUTHORIZED. */
  readonly verify: (token: string) => Promise<Principal>
  /** For the server's own log: never the token. */
  readonly refused: (address: string, error: DbgateError) => void
}

const TLS_HANDSHAKE = 0x16
/** Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL */
const ALPN = 'postgresql'
const MAX_TOKEN_BYTES = 32 * 1024
const HEADER_BYTES = 5
const AGENT = 'direct'

/**
 * A listener that speaks PostgreSQL itself, for what can't run the tunnel's end: TLS is demanded, the token
 * is the password, and the database names the target (`prod`, or `prod/app` for another database of it).
 * Behind it is the same gate. It listens only once the caller says so.
 */
export function createDirectListener(options: DirectOptions): Server {
  const context = createSecureContext({
    cert: options.cert,
    key: options.key,
    minVersion: 'TLSv1.2',
  })
  return createServer({ noDelay: true, keepAlive: true, allowHalfOpen: true }, socket => {
    socket.on('error', () => socket.destroy())
    void accept(socket, context, options)
  })
}

async function accept(
  socket: Socket,
  context: SecureContext,
  options: DirectOptions,
): Promise<void> {
  const address = `${socket.remoteAddress}:${socket.remotePort}`
  let stream: Socket = socket
  try {
    const secured = await secure(socket, context, options)
    if (secured === null) return
    stream = secured
    const hello = await readHello(stream, options.startupMs)
    if (hello === null) {
      stream.destroy()
      return
    }
    if (hello.packet.type === 'CancelRequest') {
      await options.gate.cancel(hello.packet)
      endGently(stream)
      return
    }
    const { startup } = hello.packet
    const { token, rest } = await askForToken(stream, hello.rest, options.startupMs)
    const principal = await options.verify(token)
    const visit = { principal, agent: AGENT, address, role: undefined, ...targetOf(startup) }
    await options.gate.enter(stream, visit, visit.startup, rest)
  } catch (cause) {
    const error = asDbgateError(cause)
    options.refused(address, error)
    endGently(stream, encodeErrorResponse(error, { severity: 'FATAL' }))
  }
}

/**
 * Brings up TLS, asked for with SSLRequest or begun at once (PostgreSQL 17's sslnegotiation=direct). Null
 * when there is nothing more to do: the peer left, or it was a CancelRequest.
 *
 * Throws: UNAUTHORIZED (28000) for a StartupMessage in the clear.
 */
async function secure(
  socket: Socket,
  context: SecureContext,
  options: DirectOptions,
): Promise<TLSSocket | null> {
  const first = await firstByte(socket, options.startupMs)
  if (first === null) {
    socket.destroy()
    return null
  }
  if (first !== TLS_HANDSHAKE) {
    const hello = await readPlainHello(socket, options.startupMs)
    if (hello === null) {
      socket.destroy()
      return null
    }
    if (hello.packet.type === 'CancelRequest') {
      await options.gate.cancel(hello.packet)
      endGently(socket)
      return null
    }
    if (hello.packet.type === 'StartupMessage') {
      throw new DbgateError(
        'UNAUTHORIZED',
        'dbgate: TLS is required here. Next: connect with sslmode=require.',
      )
    }
    // What came before TLS must not be read as if it had come inside (CVE-2021-23214).
    if (hello.rest.length > 0)
      throw new DbgateError('PROTOCOL', 'received unencrypted data after SSL request')
    socket.write('S')
  }
  const tls = await handshake(socket, context, options.startupMs)
  // TLS begun at once must name the protocol, so that no browser can be talked into speaking to us (ALPACA).
  if (first === TLS_HANDSHAKE && tls.alpnProtocol !== ALPN) {
    tls.destroy()
    return null
  }
  return tls
}

function firstByte(socket: Socket, timeoutMs: number): Promise<number | null> {
  return new Promise(resolve => {
    const settle = (byte: number | null): void => {
      clearTimeout(timer)
      for (const event of ['readable', 'end', 'close']) socket.off(event, look)
      resolve(byte)
    }
    const look = (): void => {
      const chunk: Buffer | null = socket.read()
      if (chunk !== null) {
        socket.unshift(chunk)
        settle(chunk[0] ?? null)
      } else if (socket.readableEnded || socket.destroyed) settle(null)
    }
    const timer = setTimeout(() => settle(null), timeoutMs)
    for (const event of ['readable', 'end', 'close']) socket.on(event, look)
  })
}

function handshake(socket: Socket, context: SecureContext, timeoutMs: number): Promise<TLSSocket> {
  const tls = new TLSSocket(socket, {
    isServer: true,
    secureContext: context,
    ALPNProtocols: [ALPN],
  })
  return new Promise((resolve, reject) => {
    const fail = (cause?: unknown): void => {
      clearTimeout(timer)
      tls.destroy()
      reject(new DbgateError('PROTOCOL', 'the TLS handshake failed', { cause }))
    }
    const timer = setTimeout(fail, timeoutMs)
    tls.once('error', fail)
    tls.once('secure', () => {
      clearTimeout(timer)
      tls.off('error', fail)
      tls.on('error', () => tls.destroy())
      resolve(tls)
    })
  })
}

/** Asks for the token as PostgreSQL asks for a password in clear text, inside TLS. */
async function askForToken(
  stream: Socket,
  rest: Buffer,
  timeoutMs: number,
): Promise<{ readonly token: string; readonly rest: Buffer }> {
  const reader = new FrameReader({
    nameOf: frontendName,
    maxFrameBytes: MAX_TOKEN_BYTES,
    streamed: [],
  })
  const gone = (cause?: unknown): DbgateError =>
    new DbgateError('UNAUTHORIZED', 'dbgate: no token was sent', { cause })
  const conversation = new Conversation(stream, reader, gone)
  const timer = setTimeout(() => conversation.fail(gone()), timeoutMs)
  try {
    reader.push(rest)
    stream.write(encodeAuthenticationCleartextPassword())
    const frame = await conversation.next()
    if (frame.tag !== FrontendTag.PasswordMessage) {
      throw new DbgateError(
        'PROTOCOL',
        `expected password response, got ${frontendName(frame.tag)}`,
      )
    }
    const body = new BodyReader(frame.buf, frame.start + HEADER_BYTES, frame.end, 'PasswordMessage')
    const token = body.cstring()
    body.finish()
    return { token, rest: reader.takeRest() }
  } finally {
    clearTimeout(timer)
    conversation.release()
  }
}

/** `prod` is the target with its own database, `prod/app` one of its databases. */
function targetOf(startup: StartupMessage): {
  readonly target: string
  readonly startup: StartupMessage
} {
  const named = startup.parameters.get('database') ?? startup.parameters.get('user') ?? ''
  const slash = named.indexOf('/')
  const parameters = new Map(startup.parameters)
  if (slash < 0) parameters.delete('database')
  else parameters.set('database', named.slice(slash + 1))
  return {
    target: slash < 0 ? named : named.slice(0, slash),
    startup: { ...startup, parameters },
  }
}
