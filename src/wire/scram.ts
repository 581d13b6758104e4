import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto'
import { DbgateError } from '../errors.ts'
import { saslPrep } from './saslprep.ts'

/**
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, both ends, as pure steps over strings. Nonces and salts are
 * handed in by the caller.
 * Source: RFC 5802, RFC 7677, RFC 5929 (tls-server-end-point), and the manual's SASL chapter:
 * https://www.postgresql.org/docs/current/sasl-authentication.html
 */

export const SCRAM = 'SCRAM-SHA-256'
export const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS'

/** What a server keeps instead of the password. */
export type ScramVerifier = {
  readonly salt: Buffer
  readonly iterations: number
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/**
 * How the exchange is tied to the TLS connection below it: 'n' not supported, 'y' supported by us but not
 * offered by the server (so that a stripped offer is noticed), or the hash of the server's certificate.
 */
export type ChannelBinding =
  | { readonly flag: 'n' | 'y' }
  | { readonly flag: 'p=tls-server-end-point'; readonly certificateHash: Buffer }

const KEY_BYTES = 32
/** RFC 7677 asks for at least 4096. A million is a fifth of a second in which no other session moves. */
const MAX_ITERATIONS = 1_000_000

/**
 * The four messages, as strict as libpq and PostgreSQL: attributes in this order, once each; an authorization
 * identity (`a=`) and the mandatory extension `m=` are refused, other extensions of a client are ignored.
 */
const CLIENT_FIRST =
  /^(?<gs2Header>[ny],,)(?<bare>n=[^,]*,r=(?<nonce>[!-+\--~]+)(,[b-ln-zA-Z]=[^,]+)*)$/
const SERVER_FIRST = /^r=(?<nonce>[!-+\--~]+),s=(?<salt>[A-Za-z0-9+/]+=*),i=(?<count>[1-9][0-9]*)$/
const CLIENT_FINAL =
  /^(?<withoutProof>c=(?<channel>[^,]*),r=(?<nonce>[^,]+)(,[a-ln-oq-zA-Z]=[^,]+)*),p=(?<proof>[A-Za-z0-9+/]{43}=)$/
const SERVER_FINAL = /^v=(?<signature>[A-Za-z0-9+/]{43}=)$/

/** The client's side of one exchange: `first` → server-first → `final` → server-final → `verify`. */
export class ScramClient {
  readonly #password: string
  readonly #nonce: string
  readonly #gs2Header: string
  readonly #bindingData: Buffer
  #expectedSignature: Buffer | undefined

  constructor(password: string, nonce: string, binding: ChannelBinding) {
    this.#password = saslPrep(password)
    this.#nonce = nonce
    this.#gs2Header = `${binding.flag},,`
    this.#bindingData = 'certificateHash' in binding ? binding.certificateHash : Buffer.alloc(0)
  }

  /** The client-first-message. PostgreSQL takes the user from the startup packet, so the name is empty. */
  first(): string {
    return `${this.#gs2Header}${this.#firstBare()}`
  }

  /** The client-final-message. Throws: UNREACHABLE (08001) for an answer that breaks the protocol. */
  final(serverFirst: string): string {
    const { nonce, salt, count } = SERVER_FIRST.exec(serverFirst)?.groups ?? {}
    if (nonce === undefined || salt === undefined || count === undefined) {
      throw broken('malformed server-first-message')
    }
    if (!nonce.startsWith(this.#nonce) || nonce.length <= this.#nonce.length) {
      throw broken('nonce does not continue ours')
    }
    const iterations = Number(count)
    if (iterations > MAX_ITERATIONS) throw broken('iteration count is out of range')
    const channel = Buffer.concat([Buffer.from(this.#gs2Header), this.#bindingData])
    const withoutProof = `c=${channel.toString('base64')},r=${nonce}`
    const authMessage = `${this.#firstBare()},${serverFirst},${withoutProof}`
    const salted = saltPassword(this.#password, Buffer.from(salt, 'base64'), iterations)
    const clientKey = hmac(salted, 'Client Key')
    this.#expectedSignature = hmac(hmac(salted, 'Server Key'), authMessage)
    const proof = xor(clientKey, hmac(sha256(clientKey), authMessage))
    return `${withoutProof},p=${proof.toString('base64')}`
  }

  /** Throws: UNREACHABLE (08001) unless the server proves that it knows the password's verifier. */
  verify(serverFinal: string): void {
    const signature = SERVER_FINAL.exec(serverFinal)?.groups?.signature ?? ''
    const expected = this.#expectedSignature
    if (expected === undefined || !equal(Buffer.from(signature, 'base64'), expected)) {
      throw broken('server signature is wrong')
    }
  }

  #firstBare(): string {
    return `n=,r=${this.#nonce}`
  }
}

/** Derives what a server stores. Units: `iterations` of PBKDF2-HMAC-SHA-256. */
export function createScramVerifier(
  password: string,
  salt: Buffer,
  iterations: number,
): ScramVerifier {
  const salted = saltPassword(saslPrep(password), salt, iterations)
  return {
    salt,
    iterations,
    storedKey: sha256(hmac(salted, 'Client Key')),
    serverKey: hmac(salted, 'Server Key'),
  }
}

/** The server's side of one exchange, without channel binding: `first` answers, `final` decides. */
export class ScramServer {
  readonly #verifier: ScramVerifier
  readonly #nonce: string
  #begun: { channel: string; nonce: string; authMessage: string } | undefined

  constructor(verifier: ScramVerifier, nonce: string) {
    this.#verifier = verifier
    this.#nonce = nonce
  }

  /** The server-first-message. Throws: PROTOCOL (08P01) for what is not a client-first-message. */
  first(clientFirst: string): string {
    const { gs2Header, bare, nonce } = CLIENT_FIRST.exec(clientFirst)?.groups ?? {}
    if (gs2Header === undefined || bare === undefined || nonce === undefined) throw malformed()
    const { salt, iterations } = this.#verifier
    const bothNonces = nonce + this.#nonce
    const serverFirst = `r=${bothNonces},s=${salt.toString('base64')},i=${iterations}`
    this.#begun = {
      channel: Buffer.from(gs2Header).toString('base64'),
      nonce: bothNonces,
      authMessage: `${bare},${serverFirst}`,
    }
    return serverFirst
  }

  /**
   * The server-final-message, or null when the proof is wrong.
   *
   * Throws: PROTOCOL (08P01) for what is not a client-final-message.
   */
  final(clientFinal: string): string | null {
    const { withoutProof, channel, nonce, proof } = CLIENT_FINAL.exec(clientFinal)?.groups ?? {}
    const begun = this.#begun
    if (withoutProof === undefined || proof === undefined || begun === undefined) throw malformed()
    if (channel !== begun.channel || nonce !== begun.nonce) throw malformed()
    const authMessage = `${begun.authMessage},${withoutProof}`
    const { storedKey, serverKey } = this.#verifier
    const clientKey = xor(Buffer.from(proof, 'base64'), hmac(storedKey, authMessage))
    if (!equal(sha256(clientKey), storedKey)) return null
    return `v=${hmac(serverKey, authMessage).toString('base64')}`
  }
}

/** The answer to AuthenticationMD5Password: md5(md5(password ‖ user) ‖ salt). */
export function md5Password(user: string, password: string, salt: Buffer): string {
  const inner = createHash('md5')
    .update(password + user, 'utf8')
    .digest('hex')
  return `md5${createHash('md5').update(inner, 'latin1').update(salt).digest('hex')}`
}

function saltPassword(password: string, salt: Buffer, iterations: number): Buffer {
  return pbkdf2Sync(password, salt, iterations, KEY_BYTES, 'sha256')
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest()
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}

function xor(left: Buffer, right: Buffer): Buffer {
  return Buffer.from(left.map((byte, index) => byte ^ (right[index] ?? 0)))
}

function equal(left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right)
}

function malformed(): DbgateError {
  return new DbgateError('PROTOCOL', 'malformed SCRAM message')
}

function broken(what: string): DbgateError {
  return new DbgateError('UNREACHABLE', `SCRAM authentication failed: ${what}`)
}
