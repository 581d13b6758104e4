import { type BareGate, startBareGate } from '../../helpers/bare-gate.ts'
import type { Database } from '../../helpers/postgres.ts'
import { fieldsOf } from '../../helpers/raw.ts'
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
  /** Stages that nobody plays on, by what was done to them before: nothing has changed there since. */
  readonly #unchanged = new Map<string, Stage[]>()

  constructor(base: Base, may: May) {
    this.#base = base
    this.#may = may
  }

  async play(one: Case): Promise<Answer> {
    if (isReading(one)) {
      this.#shared ??= this.#open(READER)
      return this.#attack(one, await this.#shared)
    }
    const scenery = sceneryOf(one)
    const free = this.#unchanged.get(scenery) ?? []
    this.#unchanged.set(scenery, free)
    const stage = free.pop() ?? (await this.#open(one))
    let isKept = false
    try {
      const answer = await this.#attack(one, stage)
      isKept = stage.gate !== null && changesNothing(one, answer)
      if (isKept) free.push(stage)
      return answer
    } finally {
      if (!isKept) await this.#close(stage, one)
    }
  }

  async close(): Promise<void> {
    if (this.#shared !== undefined) await this.#close(await this.#shared, READER)
    for (const stage of [...this.#unchanged.values()].flat()) await this.#close(stage, READER)
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

/** What is done before a case is played, and by whom: cases that agree in it can be played on one stage. */
function sceneryOf({ setup, setup_super, attacker_setup, pre, role }: Case): string {
  return JSON.stringify([setup, setup_super, attacker_setup, pre, role])
}

/** What a session says after commands that leave a database as it was. */
const IDLE_TAGS =
  /^(?:BEGIN|START TRANSACTION|COMMIT|ROLLBACK|SET|PREPARE|DECLARE CURSOR|EXPLAIN)\0$/
const IDLE_REFUSALS = /^dbgate:/

/**
 * Whether a case has provably left its database as it was: every statement was refused by the gate, or only began or
 * ended something. What failed in PostgreSQL may have moved a sequence or made a file, so that it does not count.
 */
function changesNothing(one: Case, { frames }: Answer): boolean {
  if (one.teardown !== undefined || one.steps !== undefined) return false
  return frames.every(frame => {
    const { tag, body } = frame
    if (tag === 'C') return IDLE_TAGS.test(body.toString('latin1'))
    if (tag === 'E') return IDLE_REFUSALS.test(fieldsOf(frame).R ?? '')
    return !'VWd'.includes(tag)
  })
}

function loginOf({ upstream }: Base, role: string) {
  if (role === 'postgres') return { user: 'postgres', password: upstream.password }
  return { user: role, password: ROLES_PASSWORD }
}

async function oidOf(database: Database, fn: string): Promise<number> {
  const { rows } = await database.query('select $1::regprocedure::oid as oid', [fn])
  return Number(rows[0]?.oid)
}
