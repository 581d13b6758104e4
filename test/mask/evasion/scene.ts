import { type BareGate, startBareGate } from '../../helpers/bare-gate.ts'
import type { Database } from '../../helpers/postgres.ts'
import { type Answer, attack } from './attack.ts'
import { asRole, type Base, ROLES_PASSWORD } from './base.ts'
import { type Case, listOf } from './corpus.ts'
import { corpusMasks } from './policy.ts'

const MAYS = ['read', 'write', 'ddl', 'admin'] as const

/** What the role behind the gate may do; undefined: nothing stands between. */
export type May = readonly string[] | undefined

type Stage = { readonly database: Database; readonly gate: BareGate | null }

/** Statements that change nothing, whatever becomes of them: they need no database of their own. */
const READING =
  /^\s*(?:SELECT|TABLE|VALUES|WITH|COPY \(|COPY \w+(?: \([^)]*\))? TO STDOUT|EXPLAIN|DECLARE|FETCH|BEGIN|COMMIT|PREPARE|EXECUTE)\b/i
const CHANGING = /INSERT|UPDATE|DELETE|MERGE|ALTER|INTO|lo_|set_config|advisory/i

/** Plays cases on the base database, straight or through a gate. */
export class Player {
  readonly #base: Base
  readonly #may: May
  #shared: Promise<Stage> | undefined

  constructor(base: Base, may: May) {
    this.#base = base
    this.#may = may
  }

  async play(one: Case): Promise<Answer> {
    if (isReading(one)) {
      this.#shared ??= this.#open(READER)
      return this.#attack(one, await this.#shared)
    }
    const stage = await this.#open(one)
    try {
      return await this.#attack(one, stage)
    } finally {
      await this.#close(stage, one)
    }
  }

  async close(): Promise<void> {
    if (this.#shared !== undefined) await this.#close(await this.#shared, READER)
  }

  async #open(one: Pick<Case, 'id' | 'setup' | 'role'>): Promise<Stage> {
    const database = await this.#base.copyFor(one)
    if (this.#may === undefined) return { database, gate: null }
    const may = this.#may
    const gate = await startBareGate(database, {
      login: loginOf(this.#base, one.role ?? 'agent'),
      may: MAYS.filter(each => may.includes(each)),
      policy: { masks: await corpusMasks() },
    })
    return { database, gate }
  }

  #attack(one: Case, { database, gate }: Stage): Promise<Answer> {
    const { upstream } = this.#base
    const role = one.role ?? 'agent'
    return attack(one, {
      port: gate?.port ?? upstream.port,
      server: upstream.port,
      database: database.name,
      user: gate === null && role === 'postgres' ? 'raw' : role,
      elsewhere: (sql, as) => asRole(upstream, database.name, as, [sql]),
      oidOf: fn => oidOf(database, fn),
    })
  }

  async #close({ database, gate }: Stage, one: Pick<Case, 'teardown'>): Promise<void> {
    await gate?.close()
    await this.#base.teardown(database, one)
  }
}

const READER: { readonly id: string; readonly setup?: string; readonly teardown?: string } = {
  id: 'reader',
}

function isReading(one: Case): boolean {
  const prepared = [one.setup, one.setup_super, one.pre].flatMap(listOf)
  if (prepared.some(sql => sql !== '') || one.role !== undefined) return false
  if (one.steps?.some(({ other }) => other !== undefined)) return false
  return one.sql.every(sql => READING.test(sql) && !CHANGING.test(sql))
}

function loginOf({ upstream }: Base, role: string) {
  if (role === 'postgres') return { user: 'postgres', password: upstream.password }
  return { user: role, password: ROLES_PASSWORD }
}

async function oidOf(database: Database, fn: string): Promise<number> {
  const { rows } = await database.query('select $1::regprocedure::oid as oid', [fn])
  return Number(rows[0]?.oid)
}
