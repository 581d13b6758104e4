/** A source of chance that says the same again for the same seed. */
export type Chance = {
  readonly one: <T>(of: readonly [T, ...T[]]) => T
  /** True once in so many times. */
  readonly once: (inTimes: number) => boolean
  readonly upTo: (count: number) => number
}

/** Mulberry32. Source: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
export function chance(seed: number): Chance {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    one: of => of[Math.floor(next() * of.length)] ?? of[0],
    once: inTimes => next() * inTimes < 1,
    upTo: count => Math.floor(next() * count),
  }
}

type Table = {
  readonly name: string
  readonly plain: readonly [string, ...string[]]
  readonly secret: readonly string[]
}

const TABLES: readonly [Table, ...Table[]] = [
  { name: 'users', plain: ['id', 'name', 'notes'], secret: ['email', 'ssn', 'salary', 'dob'] },
  { name: 'orders', plain: ['id', 'user_id', 'total', 'created_at'], secret: ['card_number'] },
  { name: 'cards', plain: ['id', 'holder'], secret: ['pan', 'cvv'] },
  { name: 'products', plain: ['id', 'title', 'price', 'qty'], secret: [] },
  { name: 'v_people', plain: ['id', 'name'], secret: ['contact', 'who'] },
  { name: 'v_sums', plain: ['id', 'n'], secret: ['last_card'] },
]

/** Views and functions that statements go through. */
export const FUZZ_SETUP = [
  'CREATE VIEW v_people AS SELECT id, name, email AS contact, ssn AS who FROM users',
  'CREATE VIEW v_sums AS SELECT user_id AS id, count(*) AS n, max(card_number) AS last_card FROM orders GROUP BY user_id',
  `CREATE FUNCTION name_of(i int) RETURNS text LANGUAGE sql STABLE AS 'SELECT name FROM public.users WHERE id = i'`,
  `CREATE FUNCTION mail_of(i int) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM public.users WHERE id = i'`,
  `CREATE FUNCTION same(t anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT t'`,
  'GRANT SELECT ON v_people, v_sums TO agent',
]

/** A range table entry with its alias. */
type Source = { readonly alias: string; readonly table: Table }

/** A statement that PostgreSQL mostly takes, over columns that are masked and columns that are not. */
export function statementOf(c: Chance): readonly string[] {
  const kind = c.upTo(20)
  if (kind === 0)
    return [
      `COPY (${select(c, 2)}) TO STDOUT${c.one(['', ' WITH (FORMAT csv)', ' WITH (FORMAT csv, HEADER)', ' WITH (FORMAT binary)'])}`,
    ]
  if (kind === 1) return [`EXPLAIN (COSTS off) ${select(c, 2)}`]
  if (kind === 2)
    return [
      'BEGIN',
      `DECLARE k CURSOR FOR ${select(c, 2)}`,
      `FETCH ${c.one(['1', 'ALL', '3'])} FROM k`,
      'ROLLBACK',
    ]
  if (kind === 3) return [`PREPARE s AS ${select(c, 2)}`, 'EXECUTE s', 'DEALLOCATE s']
  if (kind < 7) return ['BEGIN', write(c), 'ROLLBACK']
  return [select(c, 3)]
}

function sourceOf(c: Chance, alias: string): Source {
  return { alias, table: c.one(TABLES) }
}

function columnOf(c: Chance, sources: readonly Source[], secretOnceIn = 3): string {
  const { alias, table } = c.one([
    sources[c.upTo(sources.length)] ?? { alias: 'a', table: TABLES[0] },
  ])
  const [first, ...others] = table.secret
  const isSecret = first !== undefined && c.once(secretOnceIn)
  const name = isSecret ? c.one([first, ...others]) : c.one(table.plain)
  return c.once(30) ? name : `${alias}.${name}`
}

function select(c: Chance, depth: number): string {
  if (depth > 0 && c.once(8))
    return `WITH w AS (${select(c, depth - 1)}) SELECT * FROM w${limit(c)}`
  if (depth > 0 && c.once(8)) {
    const word = c.one(['UNION ALL', 'UNION', 'EXCEPT', 'INTERSECT'])
    return `SELECT ${textOf(c)} FROM users a ${word} SELECT ${textOf(c)} FROM users a`
  }
  const sources = [sourceOf(c, 'a'), ...(c.once(3) ? [sourceOf(c, 'b')] : [])]
  const [first, second] = sources
  const from =
    depth > 0 && c.once(8)
      ? `(SELECT * FROM ${first?.table.name}${c.once(4) ? ' LIMIT 3' : ''}) a`
      : `${first?.table.name} a`
  const join = second === undefined ? '' : joinOf(c, second, sources)
  const isGrouped = c.once(6)
  const group = isGrouped ? columnOf(c, sources, 8) : ''
  const list = isGrouped
    ? `${group}, ${c.one(['count(*)', `count(${columnOf(c, sources)})`, `max(${columnOf(c, sources, 5)})`, `string_agg(${columnOf(c, sources)}::text, ',')`])}`
    : listOf(c, sources, depth)
  const where = c.once(2) ? ` WHERE ${condition(c, sources, depth)}` : ''
  const order = c.once(3) ? ` ORDER BY ${c.once(3) ? '1' : columnOf(c, sources, 8)}` : ''
  return `SELECT ${list} FROM ${from}${join}${where}${isGrouped ? ` GROUP BY ${group}` : ''}${order}${limit(c)}`
}

function textOf(c: Chance): string {
  return c.one([
    'a.name',
    'a.email',
    'a.ssn',
    "'x'",
    'NULL',
    'a.name::text',
    'upper(a.name)',
    'a.dob::text',
  ])
}

function limit(c: Chance): string {
  return c.once(4) ? ` LIMIT ${1 + c.upTo(4)}` : ''
}

function joinOf(c: Chance, second: Source, sources: readonly Source[]): string {
  const { name } = second.table
  return c.one([
    ` JOIN ${name} b ON b.id = a.id`,
    ` LEFT JOIN ${name} b ON ${columnOf(c, sources, 10)} = ${columnOf(c, sources, 10)}`,
    ` CROSS JOIN ${name} b`,
    ` NATURAL JOIN ${name} b`,
    ` JOIN ${name} b USING (id)`,
    `, LATERAL (SELECT * FROM ${name} LIMIT 2) b`,
  ])
}

function listOf(c: Chance, sources: readonly Source[], depth: number): string {
  if (c.once(6)) return c.one(['*', 'a.*', 'a', 'a.*, 1'])
  return Array.from({ length: 1 + c.upTo(3) }, (_, at) => {
    const name = c.once(3) ? ` AS ${c.one(['id', 'x', 'name', 'email', 'ssn'])}${at}` : ''
    return `${expression(c, sources, depth)}${name}`
  }).join(', ')
}

function expression(c: Chance, sources: readonly Source[], depth: number): string {
  const column = () => columnOf(c, sources)
  const inner = () => (depth > 0 ? expression(c, sources, depth - 1) : column())
  switch (c.upTo(24)) {
    case 0:
      return `upper(${inner()}::text)`
    case 1:
      return `(${inner()} || '${c.one(['', 'x', '-'])}')`
    case 2:
      return `coalesce(${inner()}::text, ${column()}::text)`
    case 3:
      return `CASE WHEN ${condition(c, sources, 0)} THEN ${column()}::text ELSE 'no' END`
    case 4:
      return `(SELECT ${columnOf(c, [{ alias: 'z', table: TABLES[0] }])} FROM users z WHERE z.id = 1)`
    case 5:
      return `${column()}::text`
    case 6:
      return `substr(${column()}::text, 1, ${1 + c.upTo(3)})`
    case 7:
      return `row_number() OVER (ORDER BY ${columnOf(c, sources, 6)})`
    case 8:
      return c.one(['name_of(1)', 'mail_of(1)', 'same(a.id)', `same(${column()})`])
    case 9:
      return `md5(${inner()}::text)`
    case 10:
      return `length(${inner()}::text)`
    case 11:
      return `ARRAY[${column()}::text]`
    case 12:
      return c.one(['to_jsonb(a)', 'a::text', "to_jsonb(a) ->> 'id'", 'row(a.*)'])
    case 13:
      return `(${column()} IS NULL)`
    case 14:
      return `EXISTS (SELECT 1 FROM ${c.one(TABLES).name} z WHERE ${c.once(4) ? 'z.id = a.id' : 'true'})`
    case 15:
      return `nullif(${column()}::text, '${c.one(['x', 'Alice Adams', '912-45-6781'])}')`
    default:
      return column()
  }
}

function condition(c: Chance, sources: readonly Source[], depth: number): string {
  const column = columnOf(c, sources, 6)
  switch (c.upTo(9)) {
    case 0:
      return `${column} IS NOT NULL`
    case 1:
      return `${column}::text LIKE '${c.one(['A%', '9%', '%1%'])}'`
    case 2:
      return `${column}::text = '${c.one(['Alice Adams', 'alice.adams@secret-mail.test', '912-45-6781', '1'])}'`
    case 3:
      return depth > 0
        ? `${column} IN (SELECT ${columnOf(c, [{ alias: 'z', table: TABLES[0] }], 6)} FROM users z)`
        : 'true'
    case 4:
      return `(${condition(c, sources, 0)}) ${c.one(['AND', 'OR'])} (${condition(c, sources, 0)})`
    default:
      return `a.id ${c.one(['=', '<', '>', '<>'])} ${c.upTo(9)}`
  }
}

function write(c: Chance): string {
  const users = [{ alias: 'users', table: TABLES[0] }]
  const returning = c.once(2)
    ? ` RETURNING ${c.one(['*', 'id', 'name', 'email', 'ssn', 'users'])}`
    : ''
  switch (c.upTo(5)) {
    case 0:
      return `UPDATE users SET name = ${c.one(["'x'", 'upper(name)', 'email', 'ssn', 'NULL'])} WHERE ${condition(c, [{ alias: 'users', table: TABLES[0] }], 0).replaceAll('a.id', 'id')}${returning}`
    case 1:
      return `DELETE FROM orders WHERE id ${c.one(['=', '<'])} 10${c.upTo(9)} RETURNING ${c.one(['id', '*', 'card_number', 'total'])}`
    case 2:
      return `INSERT INTO audit_log (id, message) SELECT 900 + a.id, ${columnOf(c, [{ alias: 'a', table: TABLES[0] }], 4)}::text FROM users a`
    case 3:
      return `INSERT INTO products (id, title, price, qty) VALUES (${c.upTo(6)}, 'x', 1, ${c.one(['1', '-1', '(SELECT 1)', '(SELECT length(ssn) FROM users LIMIT 1)'])})${c.once(2) ? ' ON CONFLICT (id) DO NOTHING' : ''} RETURNING *`
    default:
      return `UPDATE users SET id = ${c.one(['id', 'id + 10', '1', 'NULL'])} WHERE id = ${c.upTo(9)}${returning === '' ? '' : ` RETURNING ${columnOf(c, users)}`}`
  }
}
