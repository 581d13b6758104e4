import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { DbgateError, systemCode } from '../errors.ts'

/**
 * TLS to the server, for API calls and tunnels alike: the one place that decides whether the other end
 * is the server that was meant.
 *
 * Shape: `url` is the origin, `https://host[:port]`, as `parseServerUrl` returns it. `pin` is the SHA-256
 * of the server's leaf certificate (DER) in lower-case hex. With a pin nothing else counts, neither names
 * nor authorities nor dates; without one the certificate must verify against the public authorities.
 */
export type ServerAddress = { readonly url: string; readonly pin?: string | undefined }

/** TLS sessions to resume, by server; one map for each process. */
export type TlsSessions = Map<string, Buffer>

export type ConnectOptions = {
  readonly sessions?: TlsSessions | undefined
  /** How long name resolution, TCP and TLS may take together. */
  readonly timeoutMs?: number
}

const DEFAULT_CONNECT_MS = 10_000
const KEEPALIVE_MS = 30_000
const DEFAULT_PORT = 443
/** A pin that no certificate has. */
const NO_PIN = '0'.repeat(64)
const PIN = /^(?:sha256:)?((?:[0-9a-f]{2}:?){32})$/i

/**
 * Reads what a person types after `dbgate login`: a host, a host and port, or an https URL.
 *
 * Throws: USAGE for anything else; http is refused, because a token would travel in the clear.
 */
export function parseServerUrl(text: string): string {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`)
  const isPlain = url !== null && url.username === '' && url.password === '' && url.search === ''
  if (url === null || url.protocol !== 'https:' || !isPlain || !['', '/'].includes(url.pathname)) {
    throw new DbgateError('USAGE', `not a server address: ${JSON.stringify(text)}`, {
      detail: 'A server is a host name, host:port, or an https URL without a path.',
      next: ['dbgate login bastion.example.com'],
    })
  }
  return url.origin
}

/** Reads a certificate fingerprint as printed by `dbgate serve` or openssl. Throws: USAGE. */
export function parsePin(text: string): string {
  const hex = PIN.exec(text.trim())?.[1]
  if (hex === undefined) {
    throw new DbgateError('USAGE', 'not a SHA-256 certificate fingerprint', {
      detail:
        'A fingerprint is 64 hexadecimal digits, with or without colons, optionally after sha256:',
    })
  }
  return hex.replaceAll(':', '').toLowerCase()
}

/** `host[:port]` without the scheme, as people know the server. */
export function serverName(address: ServerAddress): string {
  return new URL(address.url).host
}

/**
 * Opens a TLS connection to the server and returns it once the certificate is known to be right: not one
 * byte of ours, no token above all, leaves before that.
 *
 * Ownership: the caller ends the socket. It has no listeners and Nagle's algorithm is off.
 * Throws: UNREACHABLE (08001), saying what failed and what to try.
 */
export function connectTls(
  address: ServerAddress,
  { sessions, timeoutMs = DEFAULT_CONNECT_MS }: ConnectOptions = {},
): Promise<TLSSocket> {
  const sessionKey = `${address.url} ${address.pin ?? ''}`
  const socket = connect(tlsOptions(address, sessions?.get(sessionKey)))
  socket.setNoDelay(true)
  // A laptop that slept or changed networks has sockets that nobody will ever close.
  socket.setKeepAlive(true, KEEPALIVE_MS)
  // TLS 1.3 sends its tickets after the handshake, so the listener stays for the life of the socket.
  if (sessions !== undefined) {
    socket.on('session', session => {
      if (socket.authorized || address.pin !== undefined) sessions.set(sessionKey, session)
    })
  }
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown): void => {
      socket.off('secureConnect', onSecure)
      socket.off('error', settle)
      socket.off('close', onClose)
      clearTimeout(timer)
      if (error === undefined) {
        resolve(socket)
        return
      }
      sessions?.delete(sessionKey)
      socket.on('error', () => {}) // Already failed: what a destroyed socket still reports adds nothing.
      socket.destroy()
      reject(unreachable(address, error))
    }
    const onSecure = (): void => settle(pinMismatch(socket, address.pin))
    const onClose = (): void => settle(new Error('connection closed during the TLS handshake'))
    socket.once('secureConnect', onSecure)
    socket.once('error', settle)
    socket.once('close', onClose)
    const timer = setTimeout(() => settle(new TimeoutError(timeoutMs)), timeoutMs)
  })
}

/** `allowHalfOpen` is in Node's manual for tls.connect, not in its type. */
type TlsOptions = ConnectionOptions & { readonly allowHalfOpen: boolean }

function tlsOptions(address: ServerAddress, session: Buffer | undefined): TlsOptions {
  const url = new URL(address.url)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return {
    host,
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    ALPNProtocols: ['http/1.1'],
    // The tunnel passes half-close on; a socket that ends itself would cut off the last answer.
    allowHalfOpen: true,
    // With a pin the fingerprint is compared instead, in `pinMismatch`, before anything is written.
    rejectUnauthorized: address.pin === undefined,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(session === undefined ? {} : { session }),
  }
}

class TimeoutError extends Error {
  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs / 1000} s`)
  }
}

class PinError extends Error {
  readonly actual: string
  constructor(actual: string) {
    super('certificate fingerprint does not match')
    this.actual = actual
  }
}

function pinMismatch(socket: TLSSocket, pin: string | undefined): PinError | undefined {
  if (pin === undefined) return undefined
  const actual = fingerprint(socket)
  // A resumed handshake shows no certificate; only the peer whose certificate was compared when the
  // session was first made can resume it, and the session is kept under that pin.
  if (actual === undefined && socket.isSessionReused()) return undefined
  return actual === pin ? undefined : new PinError(actual ?? 'none')
}

/**
 * The fingerprint of whatever certificate the server shows, verified by nobody: for a person to compare.
 * Nothing is sent. Throws: UNREACHABLE.
 */
export async function peekFingerprint(address: ServerAddress): Promise<string> {
  try {
    const socket = await connectTls({ url: address.url, pin: NO_PIN })
    socket.destroy()
    return NO_PIN
  } catch (error) {
    const cause = error instanceof DbgateError ? error.cause : undefined
    if (cause instanceof PinError) return cause.actual
    throw error
  }
}

/** SHA-256 of the peer's leaf certificate in lower-case hex. */
export function fingerprint(socket: TLSSocket): string | undefined {
  const raw = socket.getPeerX509Certificate()?.raw
  return raw === undefined ? undefined : createHash('sha256').update(raw).digest('hex')
}

const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'name server not reachable',
  ENETUNREACH: 'network is unreachable',
  EHOSTUNREACH: 'no route to host',
  ETIMEDOUT: 'timed out',
}

/** Codes of OpenSSL's verification (X509_V_ERR_*) and of Node's own name check. */
const CERTIFICATE_CODE =
  /^(ERR_TLS_CERT_ALTNAME_INVALID|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*|CERT_.*|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)$/

/** True for an UNREACHABLE whose reason is a certificate no authority of this machine vouches for. */
export function isUntrusted(error: unknown): boolean {
  const cause = error instanceof DbgateError ? error.cause : undefined
  return CERTIFICATE_CODE.test(systemCode(cause) ?? '')
}

function unreachable(address: ServerAddress, cause: unknown): DbgateError {
  const server = serverName(address)
  if (cause instanceof PinError) {
    return new DbgateError('UNREACHABLE', `${server} shows another certificate than before`, {
      detail: `Its fingerprint is sha256:${cause.actual}. Either its certificate was renewed, or this is not your server. Nothing was sent.`,
      next: [`dbgate login ${server} --fingerprint sha256:...   (ask your admin for it)`],
      cause,
    })
  }
  const code = systemCode(cause) ?? ''
  if (CERTIFICATE_CODE.test(code)) {
    return new DbgateError('UNREACHABLE', `cannot verify the certificate of ${server} (${code})`, {
      detail:
        'No authority known here vouches for it: a certificate of its own, or a proxy that inspects TLS.',
      next: [`dbgate login ${server} --fingerprint sha256:...   (ask your admin for it)`],
      cause,
    })
  }
  const reason = SYSTEM_REASONS[code] ?? (cause instanceof Error ? cause.message : 'unknown reason')
  const name = new URL(address.url).port === '' ? `${server}:${DEFAULT_PORT}` : server
  return new DbgateError('UNREACHABLE', `cannot reach ${name} (${reason})`, {
    detail: 'Is the address right? Are you on the VPN?',
    cause,
  })
}
