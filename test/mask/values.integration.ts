import assert from 'node:assert/strict'
import { type Mask, openMasks } from '../../src/mask/index.ts'
import { frameOf, message } from '../helpers/bytes.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import {
  bind,
  execute,
  frame,
  int16,
  parse,
  query,
  RawClient,
  type RawFrame,
  sync,
} from '../helpers/raw.ts'
import { valuesOf } from './row-bytes.ts'

const masks = openMasks({ key: Buffer.alloc(32, 3) })

/** Type, its oid and modifier, some values as PostgreSQL reads them. */
const TOKENS: readonly (readonly [string, number, number, readonly string[]])[] = [
  ['text', 25, -1, ['alice', '', 'ÄÖ', 'a\tb\\N\n"x"']],
  ['varchar(40)', 1043, 44, ['alice']],
  ['char(30)', 1042, 34, ['alice']],
  ['name', 19, -1, ['alice']],
  ['uuid', 2950, -1, ['0f8fad5b-d9cb-469f-a165-70867728950e']],
  ['bigint', 20, -1, ['0', '-1', '9223372036854775807', '-9223372036854775808']],
]
const YEARS: readonly (readonly [string, number, readonly string[]])[] = [
  ['date', 1082, ['2024-02-29', '0044-03-15 BC', '5874897-12-31', '0001-01-01']],
  [
    'timestamp',
    1114,
    ['2024-02-29 12:34:56.789', '0001-12-31 23:59:59 BC', '294276-12-31 23:59:59'],
  ],
  [
    'timestamptz',
    1184,
    ['2024-12-31 23:59:59-05', '1999-01-01 00:00:00+14', '0044-03-15 12:00:00+00 BC'],
  ],
]

describe('masks over what PostgreSQL sends', () => {
  let database: Database
  let client: RawClient
  before(async () => {
    database = await freshDatabase(await postgres18(), 'masks')
    client = await RawClient.open(database.upstream.port, { user: 'raw', database: database.name })
  })
  after(async () => {
    client.socket.destroy()
    await database.drop()
  })

  async function ask(...bytes: readonly Buffer[]): Promise<RawFrame[]> {
    client.send(...bytes)
    return client.until(({ tag }) => tag === 'Z')
  }

  /** The first value of a query in a format, masked. */
  async function masked(
    sql: string,
    mask: Mask,
    typeOid: number,
    typeModifier: number,
    format: 0 | 1,
  ) {
    const plain = bind([])
    const asked = frame(
      'B',
      Buffer.concat([plain.subarray(5, plain.length - 2), int16(1), int16(format)]),
    )
    const row = (await ask(parse(sql), asked, execute(), sync)).find(({ tag }) => tag === 'D')
    assert.ok(row, sql)
    const masker = masks.rows([mask], [{ typeOid, typeModifier, format }])
    return valuesOf(masker.mask(frameOf(message('D', row.body))))[0] ?? null
  }

  /** What PostgreSQL makes of a value in a format. */
  async function read(type: string, value: Buffer, format: 0 | 1): Promise<string> {
    const asked = frame(
      'B',
      Buffer.concat([
        Buffer.alloc(2),
        int16(1),
        int16(format),
        int16(1),
        frame('x', value).subarray(1, 5).fill(0),
        Buffer.alloc(0),
      ]),
    )
    asked.writeInt32BE(value.length, asked.length - 4)
    const whole = frame('B', Buffer.concat([asked.subarray(5), value, int16(0)]))
    const frames = await ask(parse(`SELECT ($1::${type})::text`), whole, execute(), sync)
    const row = frames.find(({ tag }) => tag === 'D')
    assert.ok(row, frames.map(({ tag, body }) => tag + body.toString()).join('\n'))
    return row.body.subarray(6).toString()
  }

  const literal = (text: string) => `'${text.replaceAll("'", "''")}'`

  for (const [type, oid, modifier, values] of TOKENS) {
    it(`makes one token of ${type} in both formats, which PostgreSQL takes`, async () => {
      for (const value of values) {
        const sql = `SELECT ${literal(value)}::${type}`
        const mask: Mask = { kind: 'token', domain: 'd' }
        const text = await masked(sql, mask, oid, modifier, 0)
        const binary = await masked(sql, mask, oid, modifier, 1)
        assert.ok(text !== null && binary !== null)
        assert.equal(await read(type, text, 0), await read(type, binary, 1))
      }
    })
  }

  for (const [type, oid, values] of YEARS) {
    it(`makes one year of ${type} in both formats and every zone, the one PostgreSQL finds`, async () => {
      for (const zone of ['UTC', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Apia']) {
        await ask(query(`SET TimeZone = '${zone}'`))
        for (const value of values) {
          const sql = `SELECT ${literal(value)}::${type}`
          const text = await masked(sql, { kind: 'year' }, oid, -1, 0)
          const binary = await masked(sql, { kind: 'year' }, oid, -1, 1)
          assert.ok(text !== null && binary !== null, value)
          const shown = await read(type, binary, 1)
          assert.equal(await read(type, text, 0), shown)
          const inUtc =
            type === 'timestamptz'
              ? `date_trunc('year', ${literal(value)}::timestamptz, 'UTC')`
              : `make_date(extract(year FROM ${literal(value)}::${type})::int, 1, 1)::${type}`
          const { body } =
            (await ask(query(`SELECT (${inUtc})::text`))).find(({ tag }) => tag === 'D') ??
            assert.fail(value)
          assert.equal(shown, body.subarray(6).toString(), `${value} in ${zone}`)
        }
      }
    })
  }

  it('masks COPY in every format, so that PostgreSQL reads back what it should', async () => {
    await ask(query('CREATE TABLE c (id int, t text, v varchar(40))'))
    await ask(
      query(
        String.raw`INSERT INTO c VALUES (1, E'a\tb\\N\n"x",', 'shown, "q"'), (2, NULL, E'\\.'), (3, '', E'line\r\nend')`,
      ),
    )
    const types = [23, 25, 1043].map(oid => ({ oid, modifier: -1 }))
    for (const [format, more] of [
      ['text', ''],
      ['csv', ''],
      ['csv', ', HEADER'],
      ['csv', ', FORCE_QUOTE *'],
      ['binary', ''],
    ] as const) {
      const isText = format === 'text'
      const masker = masks.copy([null, { kind: 'redact' }, null], {
        format,
        delimiter: isText ? '\t' : ',',
        quote: '"',
        escape: '"',
        null: isText ? '\\N' : '',
        header: more === ', HEADER',
        types,
      })
      const sent = (
        await ask(query(`COPY (TABLE c ORDER BY id) TO STDOUT (FORMAT ${format}${more})`))
      ).filter(({ tag }) => tag === 'd')
      const copied = sent.map(({ body }) => Buffer.from(masker.data(frameOf(message('d', body)))))
      masker.end()
      await ask(query('CREATE TEMP TABLE back (LIKE c)'))
      client.send(
        query(`COPY back FROM STDIN (FORMAT ${format}${more === ', HEADER' ? more : ''})`),
      )
      await client.until(({ tag }) => tag === 'G')
      const end = await ask(...copied, frame('c'))
      assert.equal(end.find(({ tag }) => tag === 'E')?.body.toString(), undefined)
      const same =
        "SELECT count(*) FROM back b JOIN c USING (id) WHERE b.v IS NOT DISTINCT FROM c.v AND b.t IS NOT DISTINCT FROM (CASE WHEN c.t IS NOT NULL THEN '••••' END)"
      const row = (await ask(query(same))).find(({ tag }) => tag === 'D')
      assert.equal(row?.body.subarray(6).toString(), '3', `${format}${more}`)
      await ask(query('DROP TABLE back'))
    }
  })
})
