import { generateKeyPairSync } from 'node:crypto'
import { exportJWK, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose'
import { PEOPLE, type Person, type RunningIssuer, startIssuer } from '../../src/demo/index.ts'

export { browse } from '../../src/demo/index.ts'

export const CLIENT_ID = 'dbgate-cli'

/** Claims to set or, with undefined, to leave out. */
export type Claims = Readonly<Record<string, unknown>>

/** An identity provider in this process, with the key to sign whatever a test needs. */
export type TestIssuer = RunningIssuer & {
  /** An ID token as the provider itself would sign it, with some claims other than they should be. */
  readonly mint: (person: string, claims?: Claims) => Promise<string>
  /** The same claims signed by somebody else, who names the provider's key id. */
  readonly forge: (person: string, claims?: Claims) => Promise<string>
  /** The same claims with `alg: none` and no signature. */
  readonly unsigned: (person: string, claims?: Claims) => string
}

const KID = 'test-key'

export async function startTestIssuer(people: readonly Person[] = PEOPLE): Promise<TestIssuer> {
  const own = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const strange = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const signingKey = { ...(await exportJWK(own.privateKey)), kid: KID, alg: 'RS256', use: 'sig' }
  const running = await startIssuer({ people, clientId: CLIENT_ID, signingKey })
  const header: JWTHeaderParameters = { alg: 'RS256', kid: KID }
  const claimsOf = (id: string, claims: Claims = {}): JWTPayload => {
    const person = people.find(one => one.id === id)
    if (person === undefined) throw new Error(`nobody called ${id}`)
    const nowS = Math.floor(Date.now() / 1000)
    const { name, email, groups } = person
    const times = { iat: nowS, exp: nowS + 600 }
    return {
      ...{ iss: running.issuer, aud: CLIENT_ID, sub: id, ...times },
      ...{ name, email, email_verified: true, groups },
      ...claims,
    }
  }
  return {
    ...running,
    mint: (person, claims) =>
      new SignJWT(claimsOf(person, claims)).setProtectedHeader(header).sign(own.privateKey),
    forge: (person, claims) =>
      new SignJWT(claimsOf(person, claims)).setProtectedHeader(header).sign(strange.privateKey),
    unsigned: (person, claims) => {
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
      return `${part({ alg: 'none', kid: KID })}.${part(claimsOf(person, claims))}.`
    },
  }
}

let shared: Promise<TestIssuer> | undefined

if (typeof after === 'function') {
  after('stop the identity provider', async () => (await shared)?.stop())
}

/** The one issuer every integration suite may use. */
export function testIssuer(): Promise<TestIssuer> {
  shared ??= startTestIssuer()
  return shared
}
