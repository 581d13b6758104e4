import type { Socket } from 'node:net'
import { DbgateError } from '../errors.ts'
import {
  BackendTag,
  BodyReader,
  backendName,
  decodeAuthentication,
  decodeBackendKeyData,
  decodeCommandComplete,
  decodeErrorFields,
  decodeParameterStatus,
  decodeRowDescription,
  type ErrorFields,
  encodeCancelRequest,
  encodeQuery,
  encodeStartupMessage,
  encodeTerminate,
  type Frame,
  FrameReader,
} from '../wire/index.ts'
import { Dialer, type DialerOptions } from './dial.ts'

/** A column of a result: its name and the OID of its type. */
export type ResultColumn = { readonly name: string; readonly typeOid: number }

/** Where a result goes while it arrives. Values are text as PostgreSQL writes it; null is SQL NULL. */
export type ResultSink = {
  columns(columns: readonly ResultColumn[]): void
  /** False asks for a pause; `resumed` is called once and must call back when there is room again. */
  row(values: readonly (string | null)[]): boolean
  /** Bytes of COPY … TO STDOUT. */
  copied(bytes: Buffer): boolean
  /** A statement is through: its command tag, such as `SELECT 3`. */
  complete(tag: string): void
  notice(fields: ErrorFields): void
  resumed(resume: () => void): void
}

export type QueryOptions = {
  readonly user: string
  readonly database: string
  readonly application: string
  readonly sql: string
  readonly sink: ResultSink
  /** Aborted when the person wants it to stop: PostgreSQL is asked to cancel, and its answer is waited for. */
  readonly signal?: AbortSignal | undefined
  /** Sends a CancelRequest on a connection of its own. */
  readonly cancel?: (packet: Buffer) => Promise<void>
}

/** An error that came back for a statement, from the database or from the gate in front of it. */
export class StatementFailed extends Error {
  override readonly name = 'StatementFailed'
  /** ErrorResponse fields by their one-letter code. */
  readonly fields: ErrorFields

  constructor(fields: ErrorFields) {
    super(fields.get('M') ?? 'the statement failed')
    this.fields = fields
  }
}

/**
 * Opens a tunnel of its own for one query and closes it.
 *
 * Throws: as `Dialer.dial` and `query`.
 */
export async function openQuery(
  options: Omit<QueryOptions, 'cancel'> & Pick<DialerOptions, 'route' | 'token' | 'now'>,
): Promise<void> {
  const dialer = new Dialer({ ...options, sessions: new Map(), maxWarm: 0 })
  await query(await dialer.dialCold(), {
    ...options,
    cancel: async packet => {
      const socket = await dialer.dialCold()
      await new Promise<void>(resolve => {
        socket.on('error', () => {}) // Always followed by 'close', which is the only answer there is.
        socket.once('close', () => resolve())
        socket.resume()
        socket.end(packet)
      })
    },
  })
}

/** Longest message taken from the server: a row with a gigabyte in it is not for a terminal. */
const MAX_FRAME_BYTES = 256 * 1024 * 1024
const HEADER_BYTES = 5

/** What a connection says of itself once it is ready. */
export type Greeting = { readonly serverVersion: string | undefined }

/**
 * Opens a session on a tunnel, asks nothing and leaves: whether the database behind the gate answers.
 *
 * Throws: StatementFailed with the reason; UNREACHABLE (08001) if the tunnel ends first.
 */
export async function greet(
  socket: Socket,
  options: Pick<QueryOptions, 'user' | 'database' | 'application'>,
): Promise<Greeting> {
  let serverVersion: string | undefined
  await converse(socket, startup(options), (frame, done) => {
    if (frame.tag === BackendTag.ParameterStatus) {
      const [name, value] = decodeParameterStatus(frame)
      if (name === 'server_version') serverVersion = value
    } else if (frame.tag === BackendTag.ReadyForQuery) done()
    else expectStartup(frame)
  })
  return { serverVersion }
}

/**
 * Runs SQL on a tunnel by the simple query protocol and ends it. Several statements run as one.
 *
 * Throws: StatementFailed for the first error, with what came before already in the sink; UNSUPPORTED
 * (0A000) for COPY … FROM STDIN; UNREACHABLE (08001) if the tunnel ends first.
 */
export async function query(socket: Socket, options: QueryOptions): Promise<void> {
  const { sink, signal } = options
  let isReady = false
  let cancelKey: Buffer | undefined
  let failure: StatementFailed | undefined
  const stop = (): void => {
    // Nothing runs yet: hanging up is enough.
    if (cancelKey === undefined || options.cancel === undefined) socket.destroy()
    else options.cancel(cancelKey).catch(() => socket.destroy())
  }
  signal?.addEventListener('abort', stop, { once: true })
  await converse(socket, startup(options), (frame, done) => {
    if (frame.tag === BackendTag.ReadyForQuery) {
      if (isReady) return done(failure)
      isReady = true
      socket.write(encodeQuery(options.sql))
    } else if (frame.tag === BackendTag.BackendKeyData) {
      const { pid, secret } = decodeBackendKeyData(frame)
      cancelKey = encodeCancelRequest(pid, secret)
    } else if (!isReady) expectStartup(frame)
    else if (frame.tag === BackendTag.ErrorResponse) {
      failure = new StatementFailed(decodeErrorFields(frame))
    } else if (!deliver(frame, sink)) {
      socket.pause()
      sink.resumed(() => socket.resume())
    }
  }).finally(() => signal?.removeEventListener('abort', stop))
}

function startup(options: Pick<QueryOptions, 'user' | 'database' | 'application'>): Buffer {
  return encodeStartupMessage(
    new Map([
      ['user', options.user],
      ['database', options.database],
      ['application_name', options.application],
      ['client_encoding', 'UTF8'],
    ]),
  )
}

/** The gate signs us in by the tunnel's token, so anything but Ok is a misunderstanding. */
function expectStartup(frame: Frame): void {
  if (frame.tag === BackendTag.ErrorResponse) throw new StatementFailed(decodeErrorFields(frame))
  if (frame.tag !== BackendTag.Authentication) return
  if (decodeAuthentication(frame).type !== 'Ok') {
    throw new DbgateError('PROTOCOL', 'the server asked for a password inside the tunnel')
  }
}

/** Hands one message of a result on. False when the sink asks for a pause. */
function deliver(frame: Frame, sink: ResultSink): boolean {
  switch (frame.tag) {
    case BackendTag.RowDescription:
      sink.columns(decodeRowDescription(frame))
      return true
    case BackendTag.DataRow:
      return sink.row(decodeRow(frame))
    case BackendTag.CopyData:
      return sink.copied(Buffer.from(frame.buf.subarray(frame.start + HEADER_BYTES, frame.end)))
    case BackendTag.CommandComplete:
      sink.complete(decodeCommandComplete(frame))
      return true
    case BackendTag.NoticeResponse:
      sink.notice(decodeErrorFields(frame))
      return true
    case BackendTag.CopyInResponse:
      throw new DbgateError('UNSUPPORTED', 'dbgate sql cannot send data for COPY ... FROM STDIN', {
        next: ['dbgate connect TARGET -- psql'],
      })
    default:
      return true
  }
}

function decodeRow(frame: Frame): readonly (string | null)[] {
  const body = new BodyReader(frame.buf, frame.start + HEADER_BYTES, frame.end, 'DataRow')
  const values = Array.from({ length: body.count(4) }, () => {
    const length = body.int32()
    return length === -1 ? null : body.bytes(length).toString('utf8')
  })
  body.finish()
  return values
}

/**
 * Sends the opening and hands every frame to `take` until that says it is done; ends the connection then,
 * politely if all went well.
 */
function converse(
  socket: Socket,
  opening: Buffer,
  take: (frame: Frame, done: (failure?: Error) => void) => void,
): Promise<void> {
  const reader = new FrameReader({
    nameOf: backendName,
    maxFrameBytes: MAX_FRAME_BYTES,
    streamed: [],
  })
  return new Promise((resolve, reject) => {
    let isDone = false
    const done = (failure?: Error): void => {
      if (isDone) return
      isDone = true
      if (failure === undefined || failure instanceof StatementFailed) socket.end(encodeTerminate())
      else socket.destroy()
      if (failure === undefined) resolve()
      else reject(failure)
    }
    socket.on('data', chunk => {
      if (isDone || typeof chunk === 'string') return
      try {
        reader.push(chunk)
        for (let frame = reader.next(); frame !== null; frame = reader.next()) take(frame, done)
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)))
      }
    })
    socket.on('error', () => {}) // Always followed by 'close'.
    socket.on('end', () => socket.end())
    socket.on('close', () => done(new DbgateError('UNREACHABLE', 'the connection was lost')))
    socket.write(opening)
    socket.resume()
  })
}
