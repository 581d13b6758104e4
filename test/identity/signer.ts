import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
import { exportJWK, type JWK, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose'
import type { TrustedIssuer } from '../../src/identity/index.ts'

export type Key = {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly jwk: JWK
}

export async function makeKey(alg: string, kid: string): Promise<Key> {
  const { privateKey, publicKey } =
    alg === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : alg.startsWith('ES')
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, use: 'sig' } }
}

/** A bare issuer: discovery and keys over HTTP, to be rotated, broken and counted by a test. */
export type Signer = {
  readonly issuer: string
  readonly trusted: TrustedIssuer
  /** Paths asked for so far. */
  readonly asked: string[]
  /** The keys it publishes. */
  publish(...keys: readonly Key[]): void
  /** What it answers instead: a status, a body, or nothing at all. */
  breakDown(how: { status?: number; metadata?: object; hang?: boolean } | undefined): void
  stop(): Promise<void>
}

export async function startSigner(): Promise<Signer> {
  let keys: readonly Key[] = []
  let broken: { status?: number; metadata?: object; hang?: boolean } | undefined
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    if (broken?.hang === true) return
    if (broken?.status !== undefined) return void response.writeHead(broken.status).end()
    const isKeys = request.url === '/keys'
    const metadata = { issuer, jwks_uri: `${issuer}/keys`, ...broken?.metadata }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(isKeys ? { keys: keys.map(key => key.jwk) } : metadata))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const issuer = `http://127.0.0.1:${port}`
  return {
    issuer,
    asked,
    trusted: {
      name: 'test',
      kind: 'people',
      issuer,
      clientId: 'dbgate-cli',
      audience: ['dbgate-cli'],
      algorithms: ['RS256', 'ES256', 'EdDSA', 'PS256'],
      clockToleranceMs: 30_000,
      claims: { user: 'email', name: 'name', groups: 'groups' },
    },
    publish: (...published) => {
      keys = published
    },
    breakDown: how => {
      broken = how
    },
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** When every token of these tests is made, in epoch milliseconds. */
export const NOW = Date.UTC(2026, 5, 1, 12)

export function claims(issuer: string, more: Record<string, unknown> = {}): JWTPayload {
  const nowS = NOW / 1000
  return {
    iss: issuer,
    aud: 'dbgate-cli',
    sub: 'u-1',
    iat: nowS,
    exp: nowS + 600,
    email: 'ana@acme.dev',
    email_verified: true,
    name: 'Ana Ruiz',
    groups: ['engineering', 'oncall'],
    ...more,
  }
}

export function sign(
  key: Key,
  payload: JWTPayload,
  header: Partial<JWTHeaderParameters> = {},
): Promise<string> {
  const all = { alg: key.alg, kid: key.kid, ...header }
  return new SignJWT(payload).setProtectedHeader(all).sign(key.privateKey)
}
