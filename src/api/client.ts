import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { DbgateError, isErrorCode } from '../errors.ts'
import {
  type AuditEntry,
  type AuditPage,
  type Discovery,
  readAudit,
  readAuditPage,
  readDiscovery,
  readTargets,
  readVerification,
  readWhoami,
  type TargetAnswer,
  type VerificationAnswer,
  type Whoami,
} from './answers.ts'
import { type Call, createRequestsClient, type RequestsClient } from './requests-client.ts'
import { createSessionsClient, type SessionsClient } from './sessions-client.ts'
import { maybe, number, object, text, texts } from './shape.ts'
import { readLines } from './stream-lines.ts'
import { connectTls, type ServerAddress, serverName, type TlsSessions } from './transport.ts'

/** What `audit search` asks for. Units: epoch ms; `limit` in entries. */
export type AuditQuery = {
  readonly q?: string | undefined
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly limit?: number | undefined
  /** Only records after this number, the oldest first. */
  readonly after?: number | undefined
  /** What it is asked for, where that is to be on record. */
  readonly for?: 'export' | undefined
}

/** The control API of one server, typed. Each call is one request on a connection of its own. */
export type ApiClient = RequestsClient &
  SessionsClient & {
    /** What the server says of itself to anyone; needs no token. */
    discover(): Promise<Discovery>
    whoami(): Promise<Whoami>
    /** Only the targets this principal may use. */
    targets(): Promise<readonly TargetAnswer[]>
    audit(query: AuditQuery): Promise<readonly AuditEntry[]>
    /** The same, with how many there are. */
    auditPage(query: AuditQuery): Promise<AuditPage>
    /** Has the index of the audit log built anew, and returns how many statements are in it. */
    reindexAudit(): Promise<number>
    /** The server's own check of its audit log, as it reports it. */
    verifyAudit(): Promise<VerificationAnswer>
    /** Tells the server that the sign-in was renewed: this principal's live sessions go on until the new expiry. */
    renew(): Promise<void>
  }

export type ApiClientOptions = {
  readonly server: ServerAddress
  /** Returns a token that is valid now; called once for each request that needs one. */
  readonly token: () => Promise<string>
  /** The tool that types for the person, as far as that can be told: it may not decide for them. */
  readonly agent?: () => Promise<string | undefined>
  readonly sessions?: TlsSessions | undefined
  readonly timeoutMs?: number
}

/** Millions of records take minutes. */
const REINDEX_MS = 3_600_000
const DEFAULT_ANSWER_MS = 15_000
/** An answer longer than this is not one of ours. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
/** A server that streams says something at least every ten seconds. */
const SILENCE_MS = 45_000

/**
 * Creates the client. Nothing is sent before the first call.
 *
 * Throws, from every call: UNREACHABLE; UNAUTHORIZED; PROTOCOL for an answer that is not the API's; and
 * whatever error the server states in its answer.
 */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const get = async (path: string): Promise<unknown> =>
    dataOf(await send(options, 'GET', path, await options.token()))
  const call: Call = async (method, path, more = {}) => {
    const agent = method === 'POST' ? await options.agent?.() : undefined
    const token = await options.token()
    return dataOf(await send(options, method, `/api/v1/${path}`, token, { ...more, agent }))
  }
  return {
    ...createRequestsClient(call),
    ...createSessionsClient(call, (path, signal) => stream(options, path, signal)),
    discover: async () => readDiscovery(await send(options, 'GET', '/.well-known/dbgate')),
    whoami: async () => readWhoami(await get('/api/v1/whoami')),
    targets: async () => readTargets(await get('/api/v1/targets')),
    audit: async query => readAudit(await get(`/api/v1/audit?${auditParameters(query)}`)),
    auditPage: async query =>
      readAuditPage(await get(`/api/v1/audit?${auditParameters(query)}&counts`)),
    reindexAudit: async () => {
      const answer = await call('GET', 'audit?reindex', { moreMs: REINDEX_MS })
      return number(object(answer, 'status').statements, 'status.statements')
    },
    verifyAudit: async () => readVerification(await get('/api/v1/audit?verify')),
    renew: async () => {
      await send(options, 'POST', '/api/v1/renew', await options.token())
    },
  }
}

function auditParameters(query: AuditQuery): URLSearchParams {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    const isTime = name === 'since' || name === 'until'
    parameters.set(name, isTime ? new Date(Number(value)).toISOString() : String(value))
  }
  return parameters
}

type SendMore = {
  readonly body?: object
  readonly agent?: string | undefined
  readonly moreMs?: number
}

async function send(
  options: ApiClientOptions,
  method: 'GET' | 'POST',
  path: string,
  token?: string,
  { body, agent, moreMs = 0 }: SendMore = {},
): Promise<unknown> {
  const { server, sessions, timeoutMs = DEFAULT_ANSWER_MS } = options
  const socket = await connectTls(server, { timeoutMs, sessions })
  const json = body === undefined ? undefined : JSON.stringify(body)
  const headers = {
    accept: 'application/json',
    ...(method === 'POST' ? { 'content-length': Buffer.byteLength(json ?? '') } : {}),
    ...(json === undefined ? {} : { 'content-type': 'application/json' }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(agent === undefined ? {} : { 'x-dbgate-agent': encodeURIComponent(agent) }),
  }
  const outgoing = { method, path, headers, json, timeoutMs: timeoutMs + moreMs }
  const response = await exchange(server, socket, outgoing)
  try {
    return checkAnswer(server, response.statusCode ?? 0, await readJson(server, response))
  } finally {
    socket.destroy()
  }
}

/** An answer that comes in pieces: one JSON value a line. Throws: as every call does. */
async function* stream(
  options: ApiClientOptions,
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<unknown> {
  const { server, sessions, timeoutMs = DEFAULT_ANSWER_MS } = options
  const headers = {
    accept: 'application/x-ndjson',
    authorization: `Bearer ${await options.token()}`,
  }
  const socket = await connectTls(server, { timeoutMs, sessions })
  const stop = (): void => void socket.destroy()
  signal?.addEventListener('abort', stop)
  try {
    const asked = { method: 'GET', path: `/api/v1/${path}`, headers, json: undefined }
    const response = await exchange(server, socket, { ...asked, timeoutMs, isStream: true })
    if (response.statusCode !== 200) {
      checkAnswer(server, response.statusCode ?? 0, await readJson(server, response))
    }
    yield* readLines(response, SILENCE_MS)
  } catch (cause) {
    if (signal?.aborted === true) return
    throw cause instanceof DbgateError ? cause : lost(server, cause)
  } finally {
    signal?.removeEventListener('abort', stop)
    socket.destroy()
  }
}

function exchange(
  server: ServerAddress,
  socket: TLSSocket,
  asked: {
    readonly method: string
    readonly path: string
    readonly headers: Readonly<Record<string, string | number>>
    readonly json: string | undefined
    readonly timeoutMs: number
    /** The time is only for the answer to begin. */
    readonly isStream?: boolean
  },
): Promise<IncomingMessage> {
  const { method, path, headers, json, timeoutMs, isStream = false } = asked
  return new Promise((resolve, reject) => {
    const tooLate = new AbortController()
    const late = (): void => tooLate.abort(new DOMException('too late', 'TimeoutError'))
    const timer = isStream ? setTimeout(late, timeoutMs) : undefined
    const outgoing = request(new URL(path, server.url), {
      method,
      createConnection: () => socket,
      signal: isStream ? tooLate.signal : AbortSignal.timeout(timeoutMs),
      headers,
    })
    outgoing.on('response', response => {
      clearTimeout(timer)
      resolve(response)
    })
    outgoing.on('error', cause => {
      clearTimeout(timer)
      socket.destroy()
      reject(lost(server, cause))
    })
    outgoing.end(json)
  })
}

/**
 * Reads the whole body as JSON; undefined for a body that is none, such as a proxy's error page.
 *
 * Throws: UNREACHABLE (08001) if the connection ends first; PROTOCOL for more than 64 MiB.
 */
export async function readJson(server: ServerAddress, response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response) {
      bytes += chunk.length
      if (bytes > MAX_ANSWER_BYTES) {
        throw new DbgateError('PROTOCOL', `the answer of ${serverName(server)} is too long`)
      }
      chunks.push(chunk)
    }
  } catch (cause) {
    throw cause instanceof DbgateError ? cause : lost(server, cause)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    return undefined
  }
}

/**
 * Returns the answer's JSON, or throws the error that the server states in it.
 *
 * Shape of an error: `{v:1, ok:false, error:{code, message, detail?, next?}}`, code as in errors.ts.
 */
export function checkAnswer(server: ServerAddress, status: number, body: unknown): unknown {
  if (status >= 200 && status < 300) return body
  const name = serverName(server)
  if (typeof body !== 'object' || body === null || !('error' in body)) {
    throw new DbgateError('PROTOCOL', `${name} answered with HTTP ${status}`, {
      detail: 'That is not an answer of dbgate: is something else listening there?',
    })
  }
  const error = object(body.error, 'error')
  const code = text(error.code, 'error.code').toUpperCase()
  const detail = maybe(error.detail, 'error.detail', text)
  throw new DbgateError(
    isErrorCode(code) ? code : 'INTERNAL',
    text(error.message, 'error.message'),
    {
      ...(detail === undefined ? {} : { detail }),
      next: maybe(error.next, 'error.next', texts) ?? [],
    },
  )
}

function dataOf(body: unknown): unknown {
  return object(body, 'answer').data
}

function lost(server: ServerAddress, cause: unknown): DbgateError {
  return new DbgateError('UNREACHABLE', `${serverName(server)} did not answer`, {
    detail:
      cause instanceof Error && cause.name === 'TimeoutError'
        ? 'It took too long.'
        : 'The connection was lost.',
    cause,
  })
}
