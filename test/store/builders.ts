import { join } from 'node:path'
import type { Completion, SessionFacts, StatementFacts } from '../../src/record/index.ts'
import { AuditLog } from '../../src/record/index.ts'
import { AuditIndex } from '../../src/store/index.ts'
import { ok, sessionFacts, temporaryDirectory } from '../record/builders.ts'

/** A log with its index in a directory of their own, and a clock that is set by hand. */
export class Place {
  readonly #dir = temporaryDirectory()
  readonly logDir = join(this.#dir.path, 'audit')
  readonly file = join(this.#dir.path, 'index.sqlite')
  at = Date.parse('2026-03-02T12:00:00Z')
  log: AuditLog | undefined
  index: AuditIndex | undefined

  async openLog(): Promise<AuditLog> {
    this.log = await AuditLog.open(this.logDir, {
      now: () => this.at,
      maxSegmentBytes: 20_000,
      flushMs: 2,
    })
    return this.log
  }

  async openIndex(): Promise<AuditIndex> {
    this.index = await AuditIndex.open({ logDir: this.logDir, file: this.file })
    return this.index
  }

  async close(): Promise<void> {
    await this.index?.close()
    await this.log?.close()
    this.#dir[Symbol.dispose]()
  }
}

export type Told = Partial<StatementFacts> & {
  readonly session?: Partial<SessionFacts>
  readonly end?: Partial<Completion>
}

/** Puts statements on record, each in its session, and returns their ids. `before` is called before each. */
export function tell(
  log: AuditLog,
  statements: readonly Told[],
  before: (number: number) => void = () => {},
): string[] {
  const sessions = new Map<string, ReturnType<AuditLog['begin']>>()
  const ids = statements.map(({ session = {}, end, ...more }, number) => {
    before(number)
    const facts = sessionFacts(session.id ?? 's-aaaaaa', session)
    const known = sessions.get(facts.id) ?? log.begin(facts)
    sessions.set(facts.id, known)
    const statement: StatementFacts = {
      protocol: 'simple',
      text: 'SELECT 1',
      statements: [{ kind: 'SELECT', class: 'read', relations: [] }],
      verdict: 'allow',
      rule: 'role reader may read',
      ...more,
    }
    if (statement.verdict === 'deny') return known.deny(statement)
    const id = known.stage(statement)
    log.commit()
    known.complete(id, { ...ok, ...end })
    return id
  })
  log.append({ type: 'server.stop', reason: 'told' }) // completions are on file with it
  return ids
}
