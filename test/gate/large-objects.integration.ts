import assert from 'node:assert/strict'
import { largeObjectCall } from '../../src/gate/large-objects.ts'
import { postgres15, postgres18, urlOf, withClient } from '../helpers/postgres.ts'

const NAMES: Readonly<Record<string, number>> = {
  lo_open: 952,
  lo_close: 953,
  loread: 954,
  lowrite: 955,
  lo_lseek: 956,
  lo_creat: 957,
  lo_create: 715,
  lo_tell: 958,
  lo_unlink: 964,
  lo_truncate: 1004,
  lo_lseek64: 3170,
  lo_tell64: 3171,
  lo_truncate64: 3172,
}

describe('large objects by number', () => {
  for (const start of [postgres15, postgres18]) {
    it(`has the numbers that ${start.name} has`, async () => {
      const upstream = await start()
      const { rows } = await withClient(urlOf(upstream, 'postgres'), client =>
        client.query<{ oid: number; name: string; count: number }>(
          `select oid::int, proname as name, pronargs::int as count from pg_proc
           where pronamespace = 'pg_catalog'::regnamespace and oid = any($1)`,
          [Object.values(NAMES)],
        ),
      )
      assert.equal(rows.length, Object.keys(NAMES).length)
      for (const { oid, name, count } of rows) {
        assert.equal(NAMES[name], oid)
        const parameters = Array.from({ length: count }, (_, index) => `$${index + 1}`).join(', ')
        assert.equal(largeObjectCall(oid, count), `SELECT pg_catalog.${name}(${parameters})`)
      }
    })
  }
})
