import { decodeFrontend, type Frame, FrameReader, frontendName } from '../../src/wire/index.ts'
import { BACKEND } from './lab.ts'

/** What the model leaves to chance: true with the given probability in percent. */
export type Chance = (percent: number) => boolean

type Portal = { readonly text: string; left: number; isRun: boolean; readonly level: number }

class Failed extends Error {
  readonly sqlstate: string

  constructor(sqlstate: string) {
    super(sqlstate)
    this.sqlstate = sqlstate
  }
}

/** The connection is over: FATAL has been said. */
class Fatal extends Error {}

type Reading<T> = Generator<undefined, T, Frame>

/**
 * PostgreSQL's side of the protocol, as PostgresMain, SocketBackend and CopyGetData have it: what it
 * answers, skips and ignores, and when portals and prepared statements come and go. It runs nothing: each
 * row is the text that made it. Whatever may fail fails by chance.
 */
export class ModelPostgres {
  readonly #chance: Chance
  readonly #reader = new FrameReader({ nameOf: frontendName, maxFrameBytes: 1 << 20, streamed: [] })
  readonly #main: Generator<undefined, void, Frame>
  readonly #statements = new Map<string, string>()
  readonly #prepared = new Set<string>()
  readonly #portals = new Map<string, Portal>()
  #output: Buffer[] = []
  #transaction: 'none' | 'block' | 'failed' = 'none'
  #savepoints: string[] = []
  /** Something has been done since the last commit or abort, so that a commit can fail. */
  #isStarted = false
  #isExtended = false
  isOver = false

  constructor(chance: Chance) {
    this.#chance = chance
    this.#main = this.#serve()
    this.#main.next()
  }

  push(bytes: Buffer): void {
    this.#reader.push(bytes)
  }

  /** Takes one message and returns what was answered; null when there is none, or nobody to take it. */
  step(): Buffer | null {
    if (this.isOver) return null
    const frame = this.#reader.next()
    if (frame === null) return null
    if (this.#main.next(frame).done === true) this.isOver = true
    const answer = Buffer.concat(this.#output)
    this.#output = []
    return answer
  }

  #say(...messages: readonly Buffer[]): void {
    this.#output.push(...messages)
  }

  *#serve(): Generator<undefined, void, Frame> {
    let isSkipping = false
    for (;;) {
      const frame = yield
      const tag = String.fromCharCode(frame.tag)
      this.#isExtended = 'PBDECH'.includes(tag)
      if (tag === 'S') isSkipping = false
      if (tag === 'X') return
      if (isSkipping) continue
      try {
        const isCycleOver = yield* this.#message(tag, frame)
        if (isCycleOver) this.#say(BACKEND.ready(this.#status()))
      } catch (error) {
        if (error instanceof Fatal) return
        if (!(error instanceof Failed)) throw error
        this.#say(BACKEND.error(error.sqlstate))
        this.#abort()
        if (this.#isExtended) isSkipping = true
        else this.#say(BACKEND.ready(this.#status()))
      }
    }
  }

  *#message(tag: string, frame: Frame): Reading<boolean> {
    if ('dcfH'.includes(tag)) return false
    const message = decodeFrontend(frame)
    this.#isStarted ||= message.type !== 'Sync'
    switch (message.type) {
      case 'Query':
        yield* this.#query(message.text.toString())
        return true
      case 'Sync':
        if (this.#transaction === 'none') {
          if (this.#isStarted && this.#chance(5)) throw new Failed('23503')
          this.#endTransaction()
        }
        return true
      case 'Parse':
        this.#parse(message.name, message.text.toString())
        return false
      case 'Bind':
        this.#bind(message.portal, message.statement)
        return false
      case 'Describe':
        this.#describe(message.kind, message.name)
        return false
      case 'Execute':
        yield* this.#execute(message.portal, message.maxRows)
        return false
      case 'Close':
        if (message.kind === 'portal') this.#portals.delete(message.name)
        else this.#forget(message.name)
        this.#say(BACKEND.closed)
        return false
      default:
        throw new Error(`the model has no ${message.type}`)
    }
  }

  *#query(text: string): Reading<void> {
    this.#forget('')
    const statements = split(text)
    if (statements.length === 0) {
      this.#say(BACKEND.empty)
      return
    }
    for (const statement of statements) if (isNonsense(statement)) throw new Failed('42601')
    for (const statement of statements) {
      this.#mustBeAlive(statement)
      this.#portals.delete('')
      this.#mayFail()
      const rows = rowsOf(statement)
      if (rows !== undefined) {
        this.#say(BACKEND.description)
        const source = this.#sourceOf(statement)
        for (let row = 0; row < rows; row += 1) this.#row(source)
      }
      yield* this.#run(statement)
    }
    if (this.#transaction === 'none') {
      if (this.#chance(3)) throw new Failed('23503')
      this.#endTransaction()
    }
  }

  #parse(name: string, text: string): void {
    if (name === '') this.#forget('')
    const statements = split(text)
    const [statement = ''] = statements
    if (isNonsense(statement) || statements.length > 1) throw new Failed('42601')
    this.#mustBeAlive(statement)
    this.#mayFail()
    if (this.#statements.has(name)) throw new Failed('42P05')
    this.#statements.set(name, statement)
    this.#say(BACKEND.parsed)
  }

  #bind(portal: string, name: string): void {
    const text = this.#statements.get(name)
    if (text === undefined) throw new Failed('26000')
    this.#mustBeAlive(text)
    if (portal !== '' && this.#portals.has(portal)) throw new Failed('42P03')
    if (this.#chance(3)) throw new Failed('08P01')
    this.#portals.delete(portal)
    this.#mayFail()
    this.#portals.set(portal, {
      text,
      left: rowsOf(text) ?? 0,
      isRun: false,
      level: this.#savepoints.length,
    })
    this.#say(BACKEND.bound)
  }

  #describe(kind: 'statement' | 'portal', name: string): void {
    const text = kind === 'statement' ? this.#statements.get(name) : this.#portals.get(name)?.text
    if (text === undefined) throw new Failed(kind === 'statement' ? '26000' : '34000')
    if (kind === 'statement') this.#say(BACKEND.parameters)
    this.#say(rowsOf(text) === undefined ? BACKEND.noData : BACKEND.description)
  }

  *#execute(name: string, maxRows: number): Reading<void> {
    const portal = this.#portals.get(name)
    if (portal === undefined) throw new Failed('34000')
    const { text } = portal
    if (text === '') {
      this.#say(BACKEND.empty)
      return
    }
    this.#mustBeAlive(text)
    this.#mayFail()
    if (rowsOf(text) === undefined) {
      if (portal.isRun) throw new Failed('55000')
      portal.isRun = true
      yield* this.#run(text)
      return
    }
    const wanted = maxRows === 0 ? portal.left : Math.min(maxRows, portal.left)
    portal.left -= wanted
    const source = this.#sourceOf(text)
    for (let row = 0; row < wanted; row += 1) this.#row(source)
    this.#say(maxRows > 0 && wanted === maxRows ? BACKEND.suspended : BACKEND.complete('SELECT 1'))
  }

  /** What a statement does besides its rows, and its CommandComplete. */
  *#run(statement: string): Reading<void> {
    const [verb = '', name = ''] = statement.split(' ')
    switch (verb) {
      case 'begin':
        this.#transaction = 'block'
        break
      case 'commit':
      case 'rollback':
        if (name === 'to') this.#rollbackTo(statement)
        else this.#endTransaction()
        break
      case 'savepoint':
        if (this.#transaction !== 'block') throw new Failed('25P01')
        this.#savepoints.push(name)
        break
      case 'copy':
        if (statement.endsWith('from stdin')) yield* this.#copyIn()
        else this.#say(BACKEND.copyOut, copyRow(statement), BACKEND.copyDone)
        break
      case 'declare':
        if (this.#transaction !== 'block') throw new Failed('25P01')
        if (this.#portals.has(name)) throw new Failed('42P03')
        this.#portals.set(name, {
          text: statement,
          left: 2,
          isRun: false,
          level: this.#savepoints.length,
        })
        break
      case 'close':
        if (name === 'all') this.#portals.clear()
        else if (!this.#portals.delete(name)) throw new Failed('34000')
        break
      case 'prepare':
        if (this.#statements.has(name)) throw new Failed('42P05')
        this.#statements.set(name, statement)
        this.#prepared.add(name)
        break
      case 'deallocate':
        if (name === 'all') this.#forgetAll()
        else if (!this.#forget(name)) throw new Failed('26000')
        break
      case 'discard':
        if (this.#transaction !== 'none') throw new Failed('25001')
        this.#forgetAll()
        this.#portals.clear()
        break
      default:
    }
    this.#say(BACKEND.complete(`${verb.toUpperCase()} 1`))
  }

  *#copyIn(): Reading<void> {
    this.#say(BACKEND.copyIn)
    if (this.#chance(20)) throw new Failed('P0001')
    for (;;) {
      const tag = String.fromCharCode((yield).tag)
      if (tag === 'c') return
      if (tag === 'f') throw new Failed('57014')
      if (tag === 'S' || tag === 'H') continue
      if (tag !== 'd') {
        this.#say(BACKEND.error('08P01'), BACKEND.error('08P01', 'FATAL'))
        throw new Fatal()
      }
      if (this.#chance(20)) throw new Failed('22P02')
    }
  }

  /** The text whose rows these are: what EXECUTE stands for where a Parse said it. */
  #sourceOf(statement: string): string {
    const [verb, name = ''] = statement.split(' ')
    if (verb !== 'execute') return statement
    const text = this.#statements.get(name)
    if (text === undefined) throw new Failed('26000')
    return this.#prepared.has(name) ? statement : text
  }

  #row(source: string): void {
    const body = Buffer.from(source)
    const header = Buffer.alloc(5, 'D')
    header.writeInt32BE(body.length + 4, 1)
    this.#say(header, body)
  }

  #mayFail(): void {
    if (this.#chance(6)) throw new Failed('XX000')
  }

  #mustBeAlive(statement: string): void {
    if (this.#transaction !== 'failed' || statement === '') return
    if (!/^(commit|rollback)/.test(statement)) throw new Failed('25P02')
  }

  #forget(name: string): boolean {
    this.#prepared.delete(name)
    return this.#statements.delete(name)
  }

  #forgetAll(): void {
    this.#statements.clear()
    this.#prepared.clear()
  }

  #endTransaction(): void {
    this.#isStarted = false
    this.#transaction = 'none'
    this.#savepoints = []
    this.#portals.clear()
  }

  #rollbackTo(statement: string): void {
    const at = this.#savepoints.lastIndexOf(statement.split(' ')[2] ?? '')
    if (this.#transaction === 'none' || at < 0) throw new Failed('3B001')
    this.#transaction = 'block'
    this.#savepoints.length = at + 1
    for (const [name, { level }] of this.#portals) if (level > at) this.#portals.delete(name)
  }

  #abort(): void {
    if (this.#transaction === 'none') this.#endTransaction()
    else this.#transaction = 'failed'
  }

  #status(): string {
    return { none: 'I', block: 'T', failed: 'E' }[this.#transaction]
  }
}

function split(text: string): readonly string[] {
  return text
    .split(';')
    .map(statement => statement.trim())
    .filter(statement => statement !== '')
}

function isNonsense(statement: string): boolean {
  return /^(selec |dbgate )/.test(statement)
}

/** How many rows a statement returns; undefined for one that returns none at all. */
function rowsOf(statement: string): number | undefined {
  const [verb = '', count] = statement.split(' ')
  if (verb === 'select') return Number(count)
  if (verb === 'declare') return 2
  return verb === 'fetch' || verb === 'execute' ? 1 : undefined
}

function copyRow(statement: string): Buffer {
  const body = Buffer.from(statement)
  const header = Buffer.alloc(5, 'd')
  header.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([header, body])
}
