import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import {
  type Database,
  ownPostgres,
  type Upstream,
  urlOf,
  withClient,
} from '../../helpers/postgres.ts'
import { type Case, listOf, schemaSql } from './corpus.ts'

/** A PostgreSQL of the suite's own: attempts change roles, files and settings of the whole server. */
export type Base = {
  readonly upstream: Upstream
  /** A fresh copy of the base database with a case's setup done. */
  readonly copyFor: (
    one: Pick<Case, 'id' | 'setup' | 'setup_super' | 'attacker_setup' | 'pre'>,
  ) => Promise<Database>
  readonly teardown: (database: Database, one: Pick<Case, 'teardown'>) => Promise<void>
  readonly close: () => Promise<void>
}

export const ROLES_PASSWORD = randomBytes(12).toString('hex')
const TEMPLATE = 'evasion_base'

export async function startBase(major = 18): Promise<Base> {
  const upstream = await ownPostgres(major, {
    settings: {
      max_connections: '100',
      wal_level: 'logical',
      synchronous_commit: 'on',
      max_replication_slots: '20',
      shared_preload_libraries: `'pg_stat_statements'`,
    },
    // dblink and the like log in from the server itself.
    hba: [
      'host all raw 127.0.0.1/32 trust',
      'host all agent,agent2,dbowner 127.0.0.1/32 trust',
      'host replication all 127.0.0.1/32 trust',
    ],
  })
  await asSuperuser(upstream, 'postgres', [`create database ${TEMPLATE}`])
  await asSuperuser(upstream, TEMPLATE, [
    schemaSql(),
    `alter role agent password '${ROLES_PASSWORD}'`,
    `alter role dbowner password '${ROLES_PASSWORD}'`,
  ])
  let count = 0
  return {
    upstream,
    copyFor: async one => {
      count += 1
      const name = `evasion_${one.id.toLowerCase().replace(/\W/g, '_')}_${count}`
      await asSuperuser(upstream, 'postgres', [`create database ${name} template ${TEMPLATE}`])
      await asSuperuser(upstream, name, [
        `grant create, temp, connect on database ${name} to agent, agent2, dbowner`,
        ...listOf(one.setup_super),
        ...listOf(one.pre),
      ])
      const role = one.attacker_setup === true ? 'agent' : 'dbowner'
      const setup = listOf(one.setup).filter(sql => sql !== '')
      if (setup.length > 0) await asRole(upstream, name, role, setup)
      return databaseOf(upstream, name)
    },
    teardown: async (database, one) => {
      await database.drop()
      if (one.teardown !== undefined) await asSuperuser(upstream, 'postgres', [one.teardown])
    },
    close: () => upstream.running.stop(),
  }
}

/** Runs statements one by one as a role, in a session of their own. */
export function asRole(
  upstream: Upstream,
  database: string,
  role: string,
  sql: readonly string[],
): Promise<void> {
  return asSuperuser(upstream, database, [
    ...(role === 'postgres' ? [] : [`set session authorization ${role}`]),
    ...sql,
  ])
}

function asSuperuser(upstream: Upstream, database: string, sql: readonly string[]): Promise<void> {
  return withClient(urlOf(upstream, database), async client => {
    for (const text of sql) await client.query(text)
  })
}

function databaseOf(upstream: Upstream, name: string): Database {
  const url = urlOf(upstream, name)
  const query = (sql: string, values?: readonly unknown[]): Promise<pg.QueryResult> =>
    withClient(url, client => client.query(sql, values?.slice()))
  return {
    name,
    upstream,
    url,
    query,
    drop: async () => {
      // A slot keeps its database.
      await query(
        'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() and not active',
      )
      await asSuperuser(upstream, 'postgres', [`drop database if exists ${name} with (force)`])
    },
  }
}
