import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { publishedSchemas } from '../../src/config/index.ts'
import { HAZARDS, KINDS, OBJECTS } from '../../src/config/policy-words.ts'
import type { Hazard } from '../../src/sql/index.ts'
import { outcome, question, ready, withRules } from './asking.ts'

const folder = join(import.meta.dirname, '../../src/sql')
const source = readdirSync(folder)
  .map(name => readFileSync(join(folder, name), 'utf8'))
  .join('\n')

/** Words in capitals that the analysis gives in a call or a table of this shape. */
const found = (...shapes: readonly RegExp[]): string[] => [
  ...new Set(shapes.flatMap(shape => [...source.matchAll(shape)].map(match => match[1] ?? ''))),
]

describe('policy/words', () => {
  before(ready)

  it('knows every kind that the analysis gives', () => {
    const kinds = found(
      /\bkind\((?:walk, )?'([A-Z_]+)'/g,
      /\? '([A-Z]+_?[A-Z]+)' :/g,
      /^ {2}(?:TRANS_STMT|\w+Stmt)\w*: \['([A-Z_]+)',/gm,
    ).filter(word => !['PROCEDURE', 'FUNCTION', 'NONE', 'COPY'].includes(word))
    assert(kinds.length > 40, kinds.join(' '))
    assert.deepEqual(
      kinds.filter(kind => !KINDS.includes(kind)),
      [],
    )
  })

  it('knows every type of object that the analysis names', () => {
    const objects = found(
      /^ {2}\w+Stmt: \['[A-Z_]+', '([A-Z_]+)'/gm,
      /objects\.add\('([A-Z_]+)'\)/g,
      /^ {2}([A-Z_]+): '(?:server|network|roles|replication|extension)',/gm,
    )
    assert(objects.length > 30, objects.join(' '))
    assert.deepEqual(
      objects.filter(object => !OBJECTS.includes(object)),
      [],
    )
  })

  it('knows every hazard, and no other', () => {
    const same: Record<Hazard, true> = {
      files: true,
      program: true,
      code: true,
      roles: true,
      settings: true,
      server: true,
      replication: true,
      extension: true,
      network: true,
      sleep: true,
      'advisory-lock': true,
      sequence: true,
      'large-object': true,
      unknown: true,
    }
    assert.deepEqual([...HAZARDS].sort(), Object.keys(same).sort())
    assert(JSON.stringify(publishedSchemas().policy).includes('"advisory-lock"'))
  })

  it('finds each kind by its name as SQL spells it', async () => {
    const TABLE: readonly (readonly [kind: string, sql: string])[] = [
      ['select into', 'SELECT 1 AS a INTO t'],
      ['SELECT FOR UPDATE', 'SELECT 1 FROM t FOR UPDATE'],
      ['vacuum full', 'VACUUM FULL t'],
      ['ALTER SYSTEM', "ALTER SYSTEM SET work_mem = '1MB'"],
      ['alter', "ALTER SYSTEM SET work_mem = '1MB'"],
      ['ROLLBACK TO', 'ROLLBACK TO a'],
      ['PREPARE TRANSACTION', "PREPARE TRANSACTION 'a'"],
      ['SECURITY LABEL', "SECURITY LABEL ON TABLE t IS 'x'"],
      ['CREATE MATERIALIZED VIEW', 'CREATE MATERIALIZED VIEW v AS SELECT 1'],
      ['ALTER TABLE', 'ALTER TABLE t RENAME TO u'],
      ['DROP FOREIGN DATA WRAPPER', 'DROP FOREIGN DATA WRAPPER f'],
      ['CREATE TEXT SEARCH CONFIGURATION', 'CREATE TEXT SEARCH CONFIGURATION c (COPY = simple)'],
      ['CREATE SERVER', 'CREATE SERVER s FOREIGN DATA WRAPPER f'],
      ['DROP OPERATOR CLASS', 'DROP OPERATOR CLASS o USING btree'],
      ['ALTER DEFAULT PRIVILEGES', 'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bob'],
      ['COMMENT COLUMN', "COMMENT ON COLUMN t.a IS 'x'"],
      ['REINDEX TABLE', 'REINDEX TABLE t'],
      ['GRANT TABLE', 'GRANT SELECT ON t TO bob'],
      ['DROP USER', 'DROP USER bob'],
    ]
    const rules = TABLE.map(
      ([kind], index) => `- { name: r${index}, when: { kind: ${kind} }, then: deny }`,
    )
    const policy = await withRules(rules.join('\n'))
    for (const [index, [kind, sql]] of TABLE.entries()) {
      const verdict = policy.evaluate(question(policy, sql))
      assert(
        verdict.outcome === 'deny' && verdict.rules.includes(`r${index}`),
        `${kind}: ${sql} gives ${outcome(policy, sql)}`,
      )
    }
  })
})
