import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls, type TLSSocket } from 'node:tls'
import type { TargetConfig } from '../config/index.ts'
import { DbgateError, systemCode } from '../errors.ts'
import { encodeSSLRequest } from '../wire/index.ts'

/** A connection to the database before any PostgreSQL message: plain, or inside TLS as sslmode demands. */
export type Line = {
  readonly socket: Socket | TLSSocket
  /** Hash of the server's certificate for channel binding (RFC 5929), where there is TLS and a usable hash. */
  readonly certificateHash: Buffer | undefined
}

const [ANSWER_TLS, ANSWER_PLAIN] = [0x53, 0x4e]

/**
 * Opens a connection to a target's server and brings up TLS as its sslmode says. `verify-full` checks the
 * chain and the host name; nothing ever falls back to plain text but `prefer`, which says so.
 *
 * Throws: UNREACHABLE (08001) when there is no connection, or not one that sslmode accepts.
 * Source: https://www.postgresql.org/docs/current/libpq-ssl.html
 */
export async function dial(target: TargetConfig, timeoutMs: number): Promise<Line> {
  const socket = await openTcp(target, timeoutMs)
  const timer = setTimeout(() => socket.destroy(), timeoutMs)
  try {
    if (target.sslmode === 'disable' || target.host.startsWith('/')) {
      return { socket, certificateHash: undefined }
    }
    const answer = await askForTls(socket, target)
    if (answer === ANSWER_TLS) return await startTls(socket, target)
    if (target.sslmode === 'prefer') return { socket, certificateHash: undefined }
    throw unreachable(
      target,
      'its server does not offer TLS',
      `sslmode=${target.sslmode} needs it.`,
    )
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

function openTcp(target: TargetConfig, timeoutMs: number): Promise<Socket> {
  const where = target.host.startsWith('/')
    ? { path: `${target.host}/.s.PGSQL.${target.port}` }
    : { host: target.host, port: target.port }
  const socket = connectTcp({ ...where, noDelay: true, keepAlive: true, allowHalfOpen: true })
  return new Promise((resolve, reject) => {
    const refuse = (cause?: unknown): void => {
      socket.destroy()
      const why = cause === undefined ? 'it does not answer' : wordsFor(systemCode(cause))
      reject(unreachable(target, why, undefined, cause))
    }
    socket.setTimeout(timeoutMs, () => refuse())
    socket.once('error', refuse)
    socket.once('connect', () => {
      socket.off('error', refuse)
      socket.setTimeout(0)
      resolve(socket)
    })
  })
}

function askForTls(socket: Socket, target: TargetConfig): Promise<number> {
  return new Promise((resolve, reject) => {
    const refuse = (cause?: unknown): void => {
      reject(unreachable(target, 'it closed the connection', undefined, cause))
    }
    socket.once('error', refuse)
    socket.once('close', refuse)
    socket.once('data', (answer: Buffer) => {
      socket.pause()
      socket.off('error', refuse)
      socket.off('close', refuse)
      const [code] = answer
      // More than the one byte was sent before TLS began, so somebody else may have put it there
      // (CVE-2021-23222): it must not be taken for part of the encrypted stream.
      if (answer.length !== 1 || (code !== ANSWER_TLS && code !== ANSWER_PLAIN)) {
        reject(unreachable(target, 'it does not speak PostgreSQL'))
        return
      }
      resolve(code)
    })
    socket.write(encodeSSLRequest())
  })
}

async function startTls(socket: Socket, target: TargetConfig): Promise<Line> {
  const ca = target.sslrootcert === undefined ? undefined : await readFile(target.sslrootcert)
  const isChainChecked =
    target.sslmode === 'verify-ca' || target.sslmode === 'verify-full' || ca !== undefined
  const tls = connectTls({
    socket,
    ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
    ...(ca === undefined ? {} : { ca }),
    ALPNProtocols: ['postgresql'],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: isChainChecked,
    checkServerIdentity: (_name, certificate) =>
      target.sslmode === 'verify-full' ? checkServerIdentity(target.host, certificate) : undefined,
  })
  await new Promise<void>((resolve, reject) => {
    const refuse = (cause?: unknown): void => {
      const why = cause instanceof Error ? cause.message : 'it closed the connection'
      reject(unreachable(target, `TLS failed: ${why}`, undefined, cause))
    }
    tls.once('error', refuse)
    tls.once('close', refuse)
    tls.once('secureConnect', () => {
      tls.off('error', refuse)
      tls.off('close', refuse)
      resolve()
    })
  })
  return { socket: tls, certificateHash: hashOfCertificate(tls.getPeerCertificate().raw) }
}

/**
 * The server certificate's hash by the algorithm of its signature, SHA-256 in place of MD5 and SHA-1;
 * undefined where the signature names no hash (Ed25519) and channel binding is not defined.
 * Source: RFC 5929 section 4.1.
 */
function hashOfCertificate(raw: Buffer | undefined): Buffer | undefined {
  if (raw === undefined) return undefined
  const certificate = new X509Certificate(raw)
  const algorithm = certificate.signatureAlgorithm?.toLowerCase() ?? ''
  const named = /sha(?:-|_)?(256|384|512|224)/.exec(algorithm)?.[1]
  if (named === undefined && !/md5|sha1/.test(algorithm)) return undefined
  return createHash(`sha${named ?? '256'}`)
    .update(raw)
    .digest()
}

function wordsFor(code: string | undefined): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'connection refused'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its host name is not known'
    case 'ETIMEDOUT':
      return 'it does not answer'
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'no route to it'
    default:
      return code ?? 'connection failed'
  }
}

/** Says which target, never which host: the person on the other end need not know the inside network. */
function unreachable(
  target: TargetConfig,
  why: string,
  detail?: string,
  cause?: unknown,
): DbgateError {
  return new DbgateError(
    'UNREACHABLE',
    `dbgate: the database behind ${target.name} cannot be reached (${why})`,
    {
      ...(detail === undefined ? {} : { detail }),
      hint: 'The gate itself is fine; whoever runs it sees the same problem in its log.',
      cause,
    },
  )
}
