import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto'
import { DbgateError } from '../errors.ts'

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
/** RFC 7677 asks for at least 4096; a server that wants billions would freeze us, so there is a ceiling. */
const MAX_ITERATIONS = 10_000_000

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
    const fields = parseFields(serverFirst)
    const nonce = fields.get('r') ?? ''
    const salt = fields.get('s')
    const iterations = Number(fields.get('i'))
    if (!nonce.startsWith(this.#nonce) || nonce.length <= this.#nonce.length) {
      throw broken('nonce does not continue ours')
    }
    if (salt === undefined || !Number.isInteger(iterations) || iterations < 1) {
      throw broken('malformed server-first-message')
    }
    if (iterations > MAX_ITERATIONS) throw broken('iteration count is out of range')
    const channel = Buffer.concat([Buffer.from(this.#gs2Header), this.#bindingData]).toString(
      'base64',
    )
    const withoutProof = `c=${channel},r=${nonce}`
    const authMessage = `${this.#firstBare()},${serverFirst},${withoutProof}`
    const salted = saltPassword(this.#password, Buffer.from(salt, 'base64'), iterations)
    const clientKey = hmac(salted, 'Client Key')
    this.#expectedSignature = hmac(hmac(salted, 'Server Key'), authMessage)
    const proof = xor(clientKey, hmac(sha256(clientKey), authMessage))
    return `${withoutProof},p=${proof.toString('base64')}`
  }

  /** Throws: UNREACHABLE (08001) unless the server proves that it knows the password's verifier. */
  verify(serverFinal: string): void {
    const signature = Buffer.from(parseFields(serverFinal).get('v') ?? '', 'base64')
    const expected = this.#expectedSignature
    if (expected === undefined || !equal(signature, expected)) {
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
  #firstBare = ''
  #serverFirst = ''
  #gs2Header = ''

  constructor(verifier: ScramVerifier, nonce: string) {
    this.#verifier = verifier
    this.#nonce = nonce
  }

  /** The server-first-message. Throws: PROTOCOL (08P01) for what is not a client-first-message. */
  first(clientFirst: string): string {
    const match = /^([ny]),(a=[^,]*)?,(.*)$/s.exec(clientFirst)
    const bare = match?.[3]
    const clientNonce = bare === undefined ? undefined : parseFields(bare).get('r')
    if (match === null || bare === undefined || clientNonce === undefined || clientNonce === '') {
      throw new DbgateError('PROTOCOL', 'malformed SCRAM message')
    }
    this.#gs2Header = `${match[1]},${match[2] ?? ''},`
    this.#firstBare = bare
    const { salt, iterations } = this.#verifier
    this.#serverFirst = `r=${clientNonce}${this.#nonce},s=${salt.toString('base64')},i=${iterations}`
    return this.#serverFirst
  }

  /**
   * The server-final-message, or null when the proof is wrong.
   *
   * Throws: PROTOCOL (08P01) for what is not a client-final-message.
   */
  final(clientFinal: string): string | null {
    const proofAt = clientFinal.lastIndexOf(',p=')
    if (proofAt < 0) throw new DbgateError('PROTOCOL', 'malformed SCRAM message')
    const withoutProof = clientFinal.slice(0, proofAt)
    const fields = parseFields(withoutProof)
    const channel = Buffer.from(this.#gs2Header).toString('base64')
    const nonce = parseFields(this.#serverFirst).get('r')
    if (fields.get('c') !== channel || fields.get('r') !== nonce) {
      throw new DbgateError('PROTOCOL', 'malformed SCRAM message')
    }
    const authMessage = `${this.#firstBare},${this.#serverFirst},${withoutProof}`
    const proof = Buffer.from(clientFinal.slice(proofAt + 3), 'base64')
    if (proof.length !== KEY_BYTES) return null
    const clientKey = xor(proof, hmac(this.#verifier.storedKey, authMessage))
    if (!equal(sha256(clientKey), this.#verifier.storedKey)) return null
    return `v=${hmac(this.#verifier.serverKey, authMessage).toString('base64')}`
  }
}

/** The answer to AuthenticationMD5Password: md5(md5(password ‖ user) ‖ salt). */
export function md5Password(user: string, password: string, salt: Buffer): string {
  const inner = createHash('md5')
    .update(password + user, 'utf8')
    .digest('hex')
  return `md5${createHash('md5').update(inner, 'latin1').update(salt).digest('hex')}`
}

function parseFields(message: string): ReadonlyMap<string, string> {
  return new Map(message.split(',').map(field => [field.slice(0, 1), field.slice(2)]))
}

function saltPassword(password: string, salt: Buffer, iterations: number): Buffer {
  return pbkdf2Sync(password, salt, iterations, KEY_BYTES, 'sha256')
}

/**
 * SASLprep of a password as PostgreSQL applies it: ASCII is itself; otherwise exotic spaces become spaces,
 * invisible characters go, and the rest is normalised to NFKC.
 * Source: RFC 4013 sections 2.1 and 2.2; tables B.1 and C.1.2 of RFC 3454.
 */
function saslPrep(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password
  return password
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu, ' ')
    .replace(
      /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/gu,
      '',
    )
    .normalize('NFKC')
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

function broken(what: string): DbgateError {
  return new DbgateError('UNREACHABLE', `SCRAM authentication failed: ${what}`)
}
