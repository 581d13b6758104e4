import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'
import {
  type AuthenticationRequest,
  BackendTag,
  backendName,
  type ChannelBinding,
  copyFrame,
  decodeAuthentication,
  decodeErrorFields,
  encodePassword,
  encodeSASLInitialResponse,
  encodeSASLResponse,
  encodeSSLRequest,
  encodeStartupMessage,
  type Frame,
  FrameReader,
  md5Password,
  ScramClient,
} from '../../src/wire/index.ts'
import type { Upstream } from './postgres.ts'

/** The server said no; `code` is its SQLSTATE. */
export class Refused extends Error {
  readonly code: string
  constructor(fields: ReadonlyMap<string, string>) {
    super(fields.get('M'))
    this.code = fields.get('C') ?? ''
  }
}

export type Login = {
  readonly user: string
  readonly password: string
  readonly mechanism?: string
  readonly binding?: ChannelBinding | ((certificateHash: Buffer) => ChannelBinding)
  /** Changes a SASL text on its way, as somebody in the middle would. */
  readonly tamper?: (
    text: string,
    message: 'server-first' | 'client-final' | 'server-final',
  ) => string
}

/** A PostgreSQL client made of src/wire alone: one connection, one frame at a time. */
export class WireClient {
  readonly #socket: Socket
  readonly #reader = new FrameReader({ nameOf: backendName, maxFrameBytes: 1 << 20, streamed: [] })

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {}) // the end of the stream tells
  }

  static async dial({ host, port }: Upstream, security: 'plain' | 'tls'): Promise<WireClient> {
    const socket = connect(port, host)
    await once(socket, 'connect')
    if (security === 'plain') return new WireClient(socket)
    socket.write(encodeSSLRequest())
    const [answer] = await once(socket, 'data')
    if (answer.toString() !== 'S') throw new Error('no TLS')
    const tls = connectTls({ socket, rejectUnauthorized: false })
    await once(tls, 'secureConnect')
    return new WireClient(tls)
  }

  /** SHA-256, which is right for a certificate signed with it. */
  get certificateHash(): Buffer {
    if (!(this.#socket instanceof TLSSocket)) throw new Error('no TLS')
    return createHash('sha256').update(this.#socket.getPeerCertificate().raw).digest()
  }

  send(...messages: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(messages))
  }

  /** The next frame, as a copy; undefined when the server has hung up. */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#reader.next()
      if (frame !== null) {
        const buf = copyFrame(frame)
        return { tag: frame.tag, buf, start: 0, end: buf.length, part: frame.part }
      }
      const chunk: Buffer | null = this.#socket.read()
      if (chunk !== null) this.#reader.push(chunk)
      else if (this.#socket.readableEnded || this.#socket.destroyed) return undefined
      else await this.#stirs()
    }
  }

  /** All frames up to ReadyForQuery, an error that ends the session, or the end. */
  async untilReady(): Promise<Frame[]> {
    const frames: Frame[] = []
    for (let frame = await this.next(); frame !== undefined; frame = await this.next()) {
      frames.push(frame)
      if (frame.tag === BackendTag.ReadyForQuery) break
    }
    return frames
  }

  /** Logs in by whatever the server asks for, and returns the ways it asked. */
  async login(login: Login): Promise<AuthenticationRequest[]> {
    this.send(
      encodeStartupMessage(
        new Map([
          ['user', login.user],
          ['database', 'postgres'],
        ]),
      ),
    )
    const asked: AuthenticationRequest[] = []
    for (;;) {
      const request = await this.#request()
      asked.push(request)
      if (request.type === 'Ok') return asked
      if (request.type === 'CleartextPassword') this.send(encodePassword(login.password))
      else if (request.type === 'MD5Password') {
        this.send(encodePassword(md5Password(login.user, login.password, request.salt)))
      } else if (request.type === 'SASL') await this.#scram(login)
      else throw new Error(`asked for ${request.type}`)
    }
  }

  hangUp(): void {
    this.#socket.destroy()
  }

  async #stirs(): Promise<void> {
    await new Promise<void>(resolve => {
      const wake = () => {
        this.#socket.off('readable', wake).off('close', wake)
        resolve()
      }
      this.#socket.on('readable', wake).on('close', wake)
    })
  }

  async #scram(login: Login): Promise<void> {
    const { mechanism = 'SCRAM-SHA-256', binding = { flag: 'n' } } = login
    const tamper = login.tamper ?? (text => text)
    const tied = typeof binding === 'function' ? binding(this.certificateHash) : binding
    const scram = new ScramClient(login.password, 'rOprNGfwEbeRWgbNEkqO', tied)
    this.send(encodeSASLInitialResponse(mechanism, scram.first()))
    const serverFirst = tamper(await this.#text('SASLContinue'), 'server-first')
    this.send(encodeSASLResponse(tamper(scram.final(serverFirst), 'client-final')))
    scram.verify(tamper(await this.#text('SASLFinal'), 'server-final'))
  }

  async #text(type: 'SASLContinue' | 'SASLFinal'): Promise<string> {
    const request = await this.#request()
    if (request.type !== type) throw new Error(`${request.type} in place of ${type}`)
    return request.text
  }

  async #request(): Promise<AuthenticationRequest> {
    const frame = await this.next()
    if (frame === undefined) throw new Error('the server hung up')
    if (frame.tag === BackendTag.ErrorResponse) throw new Refused(decodeErrorFields(frame))
    return decodeAuthentication(frame)
  }
}
