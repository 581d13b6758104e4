import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Duplex } from 'node:stream'
import { asDbgateError, DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import { readBody } from './body.ts'
import { type ApiCall, isRequestsPath } from './requests.ts'
import { AnswerStream } from './session-stream.ts'
import { isSessionsPath } from './sessions.ts'

/** What the API offers, as the server's composition root provides it. */
export type ApiBackend = {
  /** Why the server can't do its work; empty while all is well. */
  readonly problems: () => readonly { readonly what: string; readonly why: string }[]
  /** False while starting and while draining. */
  readonly isReady: () => boolean
  readonly discovery: () => Promise<unknown>
  /** Throws UNAUTHORIZED. */
  readonly verify: (token: string) => Promise<Principal>
  /** Answers of the GET routes below /api/v1/, by name. Throws a DbgateError. */
  readonly answer: (
    route: ApiRoute,
    principal: Principal,
    query: URLSearchParams,
  ) => Promise<unknown>
  /**
   * Answers the routes about requests, grants, the policy and sessions, where there are any; an `AnswerStream` is
   * sent as it comes. Throws a DbgateError.
   */
  readonly call?: (call: ApiCall) => Promise<unknown>
  /** Returns the number of sessions that go on. */
  readonly renew: (principal: Principal) => number
  /** Throws NO_TARGET for a target that is not there just as for one that is not granted. */
  readonly admit: (visit: TunnelVisit) => void
  /** Takes over an upgraded connection. */
  readonly tunnel: (stream: Duplex, visit: TunnelVisit) => void
  /** For the server's own log: never the token. */
  readonly refused: (address: string, error: DbgateError) => void
}

export const API_ROUTES = ['whoami', 'targets', 'audit'] as const
export type ApiRoute = (typeof API_ROUTES)[number]

/** Who wants a tunnel where. `agent` is a claim of the other end. */
export type TunnelVisit = {
  readonly principal: Principal
  readonly target: string
  readonly role: string | undefined
  readonly agent: string
  readonly address: string
}

export type ApiServerOptions = {
  readonly cert: string | Buffer
  readonly key: string | Buffer
  readonly backend: ApiBackend
}

const UPGRADE = 'dbgate-postgres'
const MAX_HEADER_BYTES = 32 * 1024
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 20_000
const KEEP_ALIVE_MS = 5_000
const CHECKING_MS = 1_000
const MAX_AGENT_CHARS = 64
const TUNNEL_PATH = /^\/api\/v1\/targets\/([^/]+)\/tunnel$/
const BEARER = /^Bearer ([\w.~+/-]+=*)$/i

/** The error with the HTTP status it is answered with. */
const STATUS: Readonly<Partial<Record<DbgateError['code'], number>>> = {
  UNAUTHORIZED: 401,
  DENIED: 403,
  NO_TARGET: 404,
  NOT_FOUND: 404,
  REJECTED: 403,
  PRESENCE: 403,
  LIMIT: 403,
  STALE: 409,
  TOO_LARGE: 413,
  USAGE: 400,
  TOO_MANY: 429,
  STARTING: 503,
  DRAINING: 503,
  UNAUDITED: 503,
  NO_STORE: 503,
}

/**
 * The control API and the tunnel's entry on one port: HTTP/1.1 over TLS. It listens only once the caller
 * says so.
 */
export function createApiServer({ cert, key, backend }: ApiServerOptions): Server {
  const server = createServer({
    cert,
    key,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['http/1.1'],
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    noDelay: true,
    // A tunnel's client may end its side and still wait for the answer.
    allowHalfOpen: true,
    handshakeTimeout: HEADERS_TIMEOUT_MS,
    connectionsCheckingInterval: CHECKING_MS,
  })
  server.on('request', (request, response) => void respond(backend, request, response))
  server.on('upgrade', (request, socket, head) => void upgrade(backend, request, socket, head))
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
    else socket.destroy()
  })
  // A TLS handshake that fails or is never finished concerns nobody but its own connection.
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return server
}

async function respond(
  backend: ApiBackend,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const { status, body } = await route(backend, request, response)
    if (body instanceof AnswerStream) await sendStream(response, body)
    else send(response, status, body)
  } catch (cause) {
    const error = asDbgateError(cause)
    backend.refused(addressOf(request), error)
    // Part of an answer is out already: breaking off says that the rest is missing.
    if (response.headersSent) response.destroy()
    else send(response, statusOf(error), errorBody(error))
  } finally {
    request.resume() // What nobody has read must not hold up the connection.
  }
}

async function route(
  backend: ApiBackend,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const url = new URL(request.url ?? '/', 'https://localhost')
  const key = `${request.method} ${url.pathname}`
  switch (key) {
    case 'GET /health': {
      const problems = backend.problems()
      return problems.length === 0
        ? { status: 200, body: { ok: true } }
        : { status: 503, body: { ok: false, problems } }
    }
    case 'GET /ready':
      return backend.isReady()
        ? { status: 200, body: { ok: true } }
        : { status: 503, body: { ok: false } }
    case 'GET /.well-known/dbgate':
      return { status: 200, body: await backend.discovery() }
    case 'POST /api/v1/renew': {
      const sessions = backend.renew(await authenticate(backend, request))
      return { status: 200, body: { v: 1, ok: true, data: { sessions } } }
    }
    default: {
      const path = pathOf(url)
      const isCall = path !== undefined && (isRequestsPath(path) || isSessionsPath(path))
      return isCall && backend.call !== undefined
        ? callRoute(backend, request, response, { path, query: url.searchParams })
        : answerRoute(backend, request, url)
    }
  }
}

const API_PATH = /^\/api\/v1\/(.+)$/

function pathOf(url: URL): readonly string[] | undefined {
  return API_PATH.exec(url.pathname)?.[1]?.split('/').map(decoded)
}

async function callRoute(
  backend: ApiBackend,
  request: IncomingMessage,
  response: ServerResponse,
  { path, query }: Pick<ApiCall, 'path' | 'query'>,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const principal = await authenticate(backend, request)
  const { method } = request
  if (method !== 'GET' && method !== 'POST') throw new DbgateError('NOT_FOUND', 'no such route')
  const body = method === 'POST' ? await readBody(request) : {}
  const agent = headerText(request, 'x-dbgate-agent')?.slice(0, MAX_AGENT_CHARS)
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const { signal } = gone
  const data = await backend.call?.({ method, path, query, body, principal, agent, signal })
  return { status: 200, body: data instanceof AnswerStream ? data : { v: 1, ok: true, data } }
}

async function answerRoute(
  backend: ApiBackend,
  request: IncomingMessage,
  url: URL,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const name = API_ROUTES.find(each => url.pathname === `/api/v1/${each}`)
  if (name === undefined || request.method !== 'GET') {
    throw new DbgateError(
      'NOT_FOUND',
      `no such route: ${request.method} ${url.pathname.slice(0, 200)}`,
    )
  }
  const principal = await authenticate(backend, request)
  const data = await backend.answer(name, principal, url.searchParams)
  return { status: 200, body: { v: 1, ok: true, data } }
}

async function upgrade(
  backend: ApiBackend,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  socket.on('error', () => socket.destroy())
  try {
    const visit = await visitOf(backend, request)
    if (!backend.isReady())
      throw new DbgateError('STARTING', 'dbgate: the server is not taking sessions now')
    backend.admit(visit)
    if (socket.destroyed) return
    if ('setTimeout' in socket && typeof socket.setTimeout === 'function') socket.setTimeout(0)
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${UPGRADE}\r\n\r\n`,
    )
    if (head.length > 0) socket.unshift(head)
    backend.tunnel(socket, visit)
  } catch (cause) {
    const error = asDbgateError(cause)
    backend.refused(addressOf(request), error)
    const body = JSON.stringify(errorBody(error))
    socket.end(
      `HTTP/1.1 ${statusOf(error)} Refused\r\nConnection: close\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
  }
}

async function visitOf(backend: ApiBackend, request: IncomingMessage): Promise<TunnelVisit> {
  const url = new URL(request.url ?? '/', 'https://localhost')
  const encoded = TUNNEL_PATH.exec(url.pathname)?.[1]
  const isTunnel = request.headers.upgrade?.toLowerCase() === UPGRADE && request.method === 'GET'
  if (encoded === undefined || !isTunnel) throw new DbgateError('NOT_FOUND', 'no such route')
  return {
    principal: await authenticate(backend, request),
    target: decoded(encoded),
    role: headerText(request, 'x-dbgate-role'),
    agent: (headerText(request, 'x-dbgate-agent') ?? 'unknown').slice(0, MAX_AGENT_CHARS),
    address: addressOf(request),
  }
}

async function authenticate(backend: ApiBackend, request: IncomingMessage): Promise<Principal> {
  const token = BEARER.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined)
    throw new DbgateError('UNAUTHORIZED', 'no sign-in was sent', { next: ['dbgate login'] })
  return backend.verify(token)
}

function headerText(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' && value !== '' ? decoded(value) : undefined
}

/** Text of a URL or header; what is not valid percent-encoding stays as it came. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function addressOf(request: IncomingMessage): string {
  const { remoteAddress, remotePort } = request.socket
  return remoteAddress === undefined ? 'unknown' : `${remoteAddress}:${remotePort}`
}

function statusOf(error: DbgateError): number {
  return STATUS[error.code] ?? 500
}

function errorBody(error: DbgateError): unknown {
  const { code, message, detail, next, exitCode } = error
  const retryable = code === 'STARTING' || code === 'DRAINING' || code === 'TOO_MANY'
  return {
    v: 1,
    ok: false,
    error: { code: code.toLowerCase(), message, detail, next, exit: exitCode, retryable },
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const json = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(json),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(json)
}

/** JSON values as they come, one a line. Whoever reads slowly is waited for; whoever is gone ends it. */
async function sendStream(response: ServerResponse, { values }: AnswerStream): Promise<void> {
  response.writeHead(200, {
    'content-type': 'application/x-ndjson',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.flushHeaders()
  for await (const value of values) {
    if (response.destroyed) return
    const line = value === undefined ? '\n' : `${JSON.stringify(value)}\n`
    if (!response.write(line)) await drained(response)
  }
  response.end()
}

function drained(response: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  response.once('drain', resolve)
  response.once('close', resolve)
  return promise.finally(() => {
    response.off('drain', resolve)
    response.off('close', resolve)
  })
}
