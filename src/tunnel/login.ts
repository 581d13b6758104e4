import { createHmac } from 'node:crypto'
import { DbgateError } from '../errors.ts'
import {
  BodyReader,
  createScramVerifier,
  encodeAuthenticationSASL,
  encodeAuthenticationSASLContinue,
  encodeAuthenticationSASLFinal,
  FrameReader,
  FrontendTag,
  frontendName,
  readStartupPacket,
  SCRAM,
  ScramServer,
  type ScramVerifier,
  type StartupMessage,
} from '../wire/index.ts'

/** Who may use a local port: one user name and what is kept of its password. */
export type LocalAccount = {
  readonly user: string
  readonly verifier: ScramVerifier
  /** Makes salts that look the same for names that exist and names that don't. */
  readonly saltKey: Buffer
}

/** What the listener does next. Ownership: buffers belong to whoever receives the step. */
export type LoginStep =
  | { readonly do: 'read' }
  | { readonly do: 'reply'; readonly bytes: Buffer }
  /** A CancelRequest: forward the packet as it came; nobody has to sign in for it. */
  | { readonly do: 'cancel'; readonly packet: Buffer }
  /** Signed in: `reply`, then forward `startup` and whatever the client already sent after it. */
  | {
      readonly do: 'open'
      readonly reply: Buffer
      readonly startup: Buffer
      readonly message: StartupMessage
      readonly rest: Buffer
    }
  /** Say why, then close. */
  | { readonly do: 'refuse'; readonly error: DbgateError }
  /** Close without a word: what came is not PostgreSQL, so an error message would mean nothing. */
  | { readonly do: 'drop' }

type Phase =
  | { readonly at: 'startup'; readonly isNegotiated: ReadonlySet<string> }
  | { readonly at: 'sasl-initial'; readonly opening: Opening }
  | { readonly at: 'sasl-final'; readonly opening: Opening; readonly scram: ScramServer }
  | { readonly at: 'done' }

type Opening = { readonly startup: Buffer; readonly message: StartupMessage }

/** PostgreSQL's own default (`scram_iterations`), and the least that RFC 7677 allows. */
const ITERATIONS = 4096
const SALT_BYTES = 16
const NONCE_BYTES = 18
/** SASL messages are some hundred bytes; PostgreSQL's own limit is PG_MAX_SASL_MESSAGE_LENGTH. */
const MAX_SASL_BYTES = 1024
const HEADER_BYTES = 5
const NOT_SUPPORTED = Buffer.from('N')
const READ: LoginStep = { do: 'read' }
const DROP: LoginStep = { do: 'drop' }

/** Derives the account once, so that a connection costs no key derivation at this end. */
export function createLocalAccount(
  user: string,
  password: string,
  random: (bytes: number) => Buffer,
): LocalAccount {
  const saltKey = random(32)
  const verifier = createScramVerifier(password, saltOf(saltKey, user), ITERATIONS)
  return { user, verifier, saltKey }
}

/** An account that no password opens, for a name that is not the account's. */
function nobody(account: LocalAccount, user: string): ScramVerifier {
  const unknowable = createHmac('sha256', account.saltKey).update(`key ${user}`, 'utf8').digest()
  return {
    salt: saltOf(account.saltKey, user),
    iterations: ITERATIONS,
    storedKey: unknowable,
    serverKey: unknowable,
  }
}

function saltOf(saltKey: Buffer, user: string): Buffer {
  const digest = createHmac('sha256', saltKey).update(`salt ${user}`, 'utf8').digest()
  return digest.subarray(0, SALT_BYTES)
}

/**
 * The server's side of a PostgreSQL connection from its first byte until the password is known to be
 * right. Bytes in, steps out: no socket, no clock.
 *
 * A name that is not the account's goes through the same exchange and fails at the same point with the
 * same words, so that another process on this machine learns nothing by trying.
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export class LocalLogin {
  readonly #account: LocalAccount
  readonly #random: (bytes: number) => Buffer
  #phase: Phase = { at: 'startup', isNegotiated: new Set() }
  #pending: Buffer = Buffer.alloc(0)

  constructor(account: LocalAccount, random: (bytes: number) => Buffer) {
    this.#account = account
    this.#random = random
  }

  /** Takes bytes from the client and returns what to do, in order; the last step decides what comes next. */
  push(chunk: Buffer): readonly LoginStep[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    const steps: LoginStep[] = []
    for (;;) {
      const step = this.#next()
      steps.push(step)
      if (step.do !== 'reply') return steps
    }
  }

  #next(): LoginStep {
    const phase = this.#phase
    try {
      return phase.at === 'startup' ? this.#startup(phase.isNegotiated) : this.#sasl()
    } catch (error) {
      if (!(error instanceof DbgateError)) throw error
      this.#phase = { at: 'done' }
      // Before a startup packet made sense there is no PostgreSQL client to talk to: an HTTP request, a scan.
      const isClient = phase.at !== 'startup' || error.code !== 'PROTOCOL'
      return isClient ? { do: 'refuse', error } : DROP
    }
  }

  #startup(negotiated: ReadonlySet<string>): LoginStep {
    const read = readStartupPacket(this.#pending)
    if (read === null) return READ
    const bytes = this.#take(read.bytes)
    const packet = read.packet
    if (packet.type === 'CancelRequest') {
      this.#phase = { at: 'done' }
      return { do: 'cancel', packet: bytes }
    }
    if (packet.type !== 'StartupMessage') {
      // PostgreSQL answers each of the two once; a client that keeps asking is not one.
      if (negotiated.has(packet.type)) return DROP
      this.#phase = { at: 'startup', isNegotiated: new Set([...negotiated, packet.type]) }
      return { do: 'reply', bytes: NOT_SUPPORTED }
    }
    this.#phase = { at: 'sasl-initial', opening: { startup: bytes, message: packet.startup } }
    return { do: 'reply', bytes: encodeAuthenticationSASL([SCRAM]) }
  }

  #sasl(): LoginStep {
    const frame = this.#passwordFrame()
    if (frame === undefined) return READ
    const phase = this.#phase
    if (phase.at === 'sasl-initial') {
      const user = phase.opening.message.parameters.get('user') ?? ''
      const isKnown = user === this.#account.user
      const verifier = isKnown ? this.#account.verifier : nobody(this.#account, user)
      const scram = new ScramServer(verifier, this.#random(NONCE_BYTES).toString('base64'))
      const serverFirst = scram.first(clientFirstOf(frame))
      this.#phase = { at: 'sasl-final', opening: phase.opening, scram }
      return { do: 'reply', bytes: encodeAuthenticationSASLContinue(serverFirst) }
    }
    if (phase.at !== 'sasl-final') return DROP
    this.#phase = { at: 'done' }
    const serverFinal = phase.scram.final(frame.bytes(frame.remaining).toString('utf8'))
    const { startup, message } = phase.opening
    if (serverFinal === null) return { do: 'refuse', error: wrongPassword(message) }
    const rest = this.#take(this.#pending.length)
    return { do: 'open', reply: encodeAuthenticationSASLFinal(serverFinal), startup, message, rest }
  }

  /** The body of the next SASL message, or undefined while it is not complete. Throws: PROTOCOL for any other. */
  #passwordFrame(): BodyReader | undefined {
    const reader = new FrameReader({
      nameOf: tag => (tag === FrontendTag.PasswordMessage ? frontendName(tag) : undefined),
      maxFrameBytes: MAX_SASL_BYTES,
      streamed: [],
    })
    reader.push(this.#pending)
    const frame = reader.next()
    if (frame === null) return undefined
    const bytes = this.#take(frame.end - frame.start)
    return new BodyReader(bytes, HEADER_BYTES, bytes.length, 'SASL')
  }

  #take(bytes: number): Buffer {
    const taken = Buffer.from(this.#pending.subarray(0, bytes))
    this.#pending = this.#pending.subarray(bytes)
    return taken
  }
}

function clientFirstOf(body: BodyReader): string {
  const mechanism = body.cstring()
  if (mechanism !== SCRAM) {
    throw new DbgateError('PROTOCOL', 'client selected an invalid SASL authentication mechanism')
  }
  const text = body.bytes(body.int32()).toString('utf8')
  body.finish()
  return text
}

function wrongPassword(message: StartupMessage): DbgateError {
  const user = message.parameters.get('user') ?? ''
  return new DbgateError('BAD_PASSWORD', `password authentication failed for user "${user}"`, {
    hint: 'The password is part of the URL that dbgate connect prints.',
  })
}
