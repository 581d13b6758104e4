import {
  bind,
  close,
  cstring,
  describe_,
  execute,
  frame,
  int16,
  int32,
  parse,
  query,
  RawClient,
  type RawFrame,
  sync,
} from '../../helpers/raw.ts'
import type { Case, Step } from './corpus.ts'

/** What an attempt needs to know of the place it runs at. */
export type Scene = {
  readonly port: number
  /** The port of PostgreSQL itself. */
  readonly server: number
  readonly database: string
  readonly user: string
  /** Runs something in another session, as this role. */
  readonly elsewhere: (sql: string, role: string) => Promise<void>
  /** The oid of a function by its signature. */
  readonly oidOf: (fn: string) => Promise<number>
}

export type Answer = { readonly frames: readonly RawFrame[]; readonly elapsedMs: number }

const TIMEOUT_MS = 20_000
/** How long a stream is listened to. */
const STREAM_MS = 1000

/** Plays one attempt and returns everything that came back, startup included. */
export async function attack(
  one: Pick<Case, 'sql' | 'steps' | 'protocol' | 'params' | 'startup'>,
  scene: Scene,
): Promise<Answer> {
  const stage = new Stage(scene, one.startup ?? {})
  const started = performance.now()
  try {
    await stage.connect()
    for (const step of one.steps ?? stepsOf(one)) await stage.play(step)
  } finally {
    stage.hangUp()
  }
  return { frames: stage.received, elapsedMs: performance.now() - started }
}

function stepsOf({
  sql,
  protocol,
  params,
}: Pick<Case, 'sql' | 'protocol' | 'params'>): readonly Step[] {
  if (protocol !== 'extended') return sql.map(q => ({ q }))
  return sql.flatMap((text): Step[] => [
    { P: { sql: text } },
    { B: { params: params ?? [] } },
    { D: { kind: 'P' } },
    { E: {} },
    { S: 1 },
  ])
}

/** One session, and those that take its place. */
class Stage {
  readonly received: RawFrame[] = []
  readonly #scene: Scene
  readonly #startup: Readonly<Record<string, string>>
  #client: RawClient | null = null

  constructor(scene: Scene, startup: Readonly<Record<string, string>>) {
    this.#scene = scene
    this.#startup = startup
  }

  async connect(): Promise<void> {
    const { port, user, database } = this.#scene
    this.#client = await RawClient.dial(port)
    const pairs = Object.entries({ user, database, ...this.#startup }).flatMap(pair =>
      pair.map(cstring),
    )
    const body = Buffer.concat([int32(0x30000), ...pairs, Buffer.alloc(1)])
    await this.#exchange(Buffer.concat([int32(body.length + 4), body]))
  }

  hangUp(): void {
    this.#client?.socket.destroy()
    this.#client = null
  }

  async play(step: Step): Promise<void> {
    if (step.reconnect !== undefined) {
      this.hangUp()
      await this.connect()
      return
    }
    if (step.other !== undefined) {
      await this.#scene.elsewhere(step.other, step.role ?? 'dbowner')
      return
    }
    const { F } = step
    if (F !== undefined) {
      const oid = F.oid ?? (await this.#scene.oidOf(F.fn ?? ''))
      await this.#exchange(functionCall(oid, F.args))
      return
    }
    const bytes = bytesOf(step.q === undefined ? step : { q: this.#here(step.q) })
    const isAnswered = step.q !== undefined || step.rawq !== undefined || step.S !== undefined
    if (isAnswered) await this.#exchange(bytes)
    else if (this.#client?.isClosed === false) this.#client.send(bytes)
  }

  /** A text that leads back to the server says where that is. */
  #here(sql: string): string {
    const { server, database } = this.#scene
    return sql.replace('port=55999 dbname=evcase', `port=${server} dbname=${database}`)
  }

  /** Sends and waits until it is the client's turn again, or the session is over. */
  async #exchange(bytes: Buffer): Promise<void> {
    const client = this.#client
    if (client === null || client.isClosed) return
    client.send(bytes)
    for (;;) {
      const frames = await client.until(({ tag }) => 'ZGW'.includes(tag), TIMEOUT_MS)
      this.received.push(...frames)
      const last = frames.at(-1)?.tag
      if (last === 'W') {
        const streamed = client.until(({ tag }) => tag === 'd', STREAM_MS).catch(() => [])
        this.received.push(...(await streamed))
        // Keepalives come first; the changes are in the next messages, if they come.
        this.received.push(
          ...(await client.until(({ tag }) => tag === 'Z', STREAM_MS).catch(() => client.frames)),
        )
        this.hangUp()
        return
      }
      if (last !== 'G') return
      client.send(frame('c'))
    }
  }
}

function bytesOf({ q, rawq, P, B, D, E, C }: Step): Buffer {
  if (q !== undefined) return query(q)
  if (rawq !== undefined)
    return frame('Q', Buffer.concat([Buffer.from(rawq, 'hex'), Buffer.alloc(1)]))
  if (P !== undefined) return parse(P.sql, P.name ?? '')
  if (B !== undefined) return bindOf(B)
  if (D !== undefined) return describe_(D.kind, D.name ?? '')
  if (E !== undefined) return execute(E.portal ?? '', E.max ?? 0)
  if (C !== undefined) return close(C.kind, C.name ?? '')
  return sync
}

function bindOf({
  params = [],
  portal = '',
  stmt = '',
  rfmts = [],
}: NonNullable<Step['B']>): Buffer {
  const plain = bind(params, portal, stmt)
  // Its last two bytes are the count of result formats.
  const body = plain.subarray(5, plain.length - 2)
  return frame('B', Buffer.concat([body, int16(rfmts.length), ...rfmts.map(int16)]))
}

function functionCall(oid: number, args: readonly string[]): Buffer {
  const values = args.map(text =>
    Buffer.concat([int32(Buffer.byteLength(text)), Buffer.from(text)]),
  )
  return frame('F', Buffer.concat([int32(oid), int16(0), int16(args.length), ...values, int16(0)]))
}
