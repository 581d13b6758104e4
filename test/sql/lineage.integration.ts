import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import pg from 'pg'
import {
  type Analyser,
  type Catalog,
  createAnalyser,
  EMPTY_SCOPE,
  type Lineage,
  type Origin,
  type Scope,
  settle,
  withMovedPath,
} from '../../src/sql/index.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import { loadCatalog } from './load-catalog.ts'

const read = (name: string) => readFileSync(new URL(`../corpus/${name}`, import.meta.url), 'utf8')

const SCHEMA = read('evasion_schema.sql')

/** What a real database has beside tables. */
const MORE = `
CREATE VIEW contacts AS SELECT id, email AS mail, upper(ssn) AS code FROM users;
CREATE VIEW adults AS SELECT id, name FROM users WHERE dob < '2000-01-01';
CREATE VIEW over_contacts AS SELECT mail FROM contacts;
CREATE MATERIALIZED VIEW search AS SELECT id, name || ' ' || ssn AS doc FROM users;
CREATE TABLE people (id int, nick text, short text GENERATED ALWAYS AS (left(nick, 1)) STORED);
CREATE TABLE people_eu () INHERITS (people);
CREATE TABLE parts (k int, v text) PARTITION BY LIST (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE FUNCTION names() RETURNS SETOF text LANGUAGE sql STABLE AS 'SELECT name FROM public.users';
CREATE FUNCTION everyone() RETURNS SETOF users LANGUAGE sql STABLE AS 'SELECT * FROM public.users';
CREATE FUNCTION pairs() RETURNS TABLE (a int, b text) LANGUAGE sql STABLE AS 'SELECT id, ssn FROM public.users';
CREATE FUNCTION atomic_pairs() RETURNS TABLE (a int, b text) STABLE BEGIN ATOMIC SELECT id, email FROM users; END;
CREATE FUNCTION find(wanted int) RETURNS text LANGUAGE plpgsql STABLE AS
  'BEGIN RETURN (SELECT email FROM public.users WHERE id = wanted); END';
CREATE FUNCTION dynamic(what text) RETURNS text LANGUAGE plpgsql AS
  'DECLARE r text; BEGIN EXECUTE what INTO r; RETURN r; END';
CREATE FUNCTION pure(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n + 1';
CREATE FUNCTION fullrec(u users) RETURNS text LANGUAGE sql AS 'SELECT $1.ssn';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE watched (a int, b text);
CREATE TRIGGER t BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN NEW.b := (SELECT max(ssn) FROM public.users); RETURN NEW; END';
CREATE TABLE filled (a int, b text);
CREATE TRIGGER t BEFORE INSERT ON filled FOR EACH ROW EXECUTE FUNCTION fill();
CREATE FUNCTION carry() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF NEW.a > 0 THEN New . "b" := NEW.c; END IF; RETURN NEW; END';
CREATE FUNCTION carry_all() RETURNS trigger LANGUAGE plpgsql AS
  'DECLARE r record; BEGIN r := NEW; NEW.b := r.c; RETURN NEW; END';
CREATE TABLE carried (a int, b text, c text, d text);
CREATE TRIGGER t BEFORE INSERT ON carried FOR EACH ROW EXECUTE FUNCTION carry();
CREATE TRIGGER u BEFORE UPDATE ON carried FOR EACH ROW EXECUTE FUNCTION carry_all();
CREATE TABLE ruled (a int);
CREATE RULE r AS ON INSERT TO ruled DO ALSO SELECT ssn FROM users;
CREATE SCHEMA other;
CREATE TABLE other.products (id int, title text, price numeric, qty int);
CREATE TABLE other.cards (x int);
`

/**
 * Statement -> the origins of each output. `*` at the end of a list: computed. What is compared with the server
 * beside that: the names of the outputs, and which table and column it reports for each.
 */
const OUTPUTS: readonly (readonly [sql: string, outputs: string])[] = [
  ['SELECT id, ssn AS name FROM users', 'id: users.id; name: users.ssn'],
  ['SELECT * FROM cards', 'id: cards.id; pan: cards.pan; cvv: cards.cvv; holder: cards.holder'],
  ['TABLE cards', 'id: cards.id; pan: cards.pan; cvv: cards.cvv; holder: cards.holder'],
  [
    'SELECT email IS NULL AS a, (SELECT ssn FROM users LIMIT 1) IS NOT NULL AS b FROM users',
    'a: tested users.email; b: tested users.ssn',
  ],
  [
    'SELECT upper(email) IS NULL AS a, ROW(ssn) IS NULL AS b, u IS NULL AS c, (email IS NULL)::text AS d FROM users u',
    'a: derived users.email; b: derived users.ssn; c: derived users.dob users.email users.id users.name users.notes users.salary users.ssn; d: derived users.email',
  ],
  ['SELECT t.d FROM users AS t(a, b, c, d)', 'd: users.ssn'],
  ['SELECT t.name FROM users AS t(id, ssn, name)', 'name: users.email'],
  ['SELECT c.d FROM (SELECT * FROM users) AS c(a, b, c, d)', 'd: users.ssn'],
  ['SELECT ssn(u), u.email FROM users u', 'ssn: users.ssn; email: users.email'],
  [
    'SELECT email::text, email::varchar(3), salary::text FROM users',
    'email: users.email; email: total users.email; salary: derived users.salary',
  ],
  [
    'SELECT upper(ssn), left(ssn, 2), ssn || $$x$$, length(ssn) FROM users',
    'upper: total users.ssn; left: total users.ssn; ?column?: total users.ssn; length: total users.ssn',
  ],
  [
    'SELECT left(ssn, -1), substr(ssn, id), ssn::int FROM users WHERE false',
    'left: derived users.ssn; substr: derived users.id users.ssn; ssn: derived users.ssn',
  ],
  [
    "SELECT coalesce(email, ''), nullif(email, ''), CASE WHEN ssn = '1' THEN 1 END FROM users",
    'coalesce: merged users.email; nullif: derived users.email; case: derived users.ssn',
  ],
  [
    'SELECT count(*), count(ssn), count(ssn::int), max(ssn), sum(salary) FILTER (WHERE id = 1) FROM users WHERE false',
    'count: ; count: counted users.ssn; count: derived users.ssn; max: derived users.ssn; sum: derived users.id users.salary',
  ],
  ['SELECT u FROM cards u', 'u: total cards.cvv cards.holder cards.id cards.pan'],
  ['SELECT (r).pan FROM (SELECT u AS r FROM cards u) q', 'pan: cards.pan'],
  [
    'SELECT ((SELECT u FROM cards u LIMIT 1)).*',
    'id: cards.id; pan: cards.pan; cvv: cards.cvv; holder: cards.holder',
  ],
  ['SELECT (SELECT email FROM users WHERE id = o.user_id) FROM orders o', 'email: users.email'],
  [
    'SELECT ARRAY(SELECT pan FROM cards), EXISTS (SELECT 1 FROM cards WHERE cvv IS NULL)',
    'array: derived cards.pan; exists: derived cards.cvv',
  ],
  ['SELECT l.x FROM users u, LATERAL (SELECT u.ssn AS x) l', 'x: users.ssn'],
  [
    'SELECT x FROM users u CROSS JOIN LATERAL unnest(ARRAY[u.ssn, u.email]) x',
    'x: derived users.email users.ssn',
  ],
  [
    'SELECT id, email FROM users a NATURAL FULL JOIN (SELECT id FROM orders) b',
    'id: merged orders.id users.id; email: users.email',
  ],
  [
    'SELECT * FROM orders JOIN (SELECT id, pan FROM cards) c USING (id) LIMIT 1',
    'id: merged cards.id orders.id; user_id: orders.user_id; total: orders.total; card_number: orders.card_number; created_at: orders.created_at; pan: cards.pan',
  ],
  [
    'SELECT j.* FROM (orders o JOIN cards c ON c.id = o.id) AS j (a, b, c, d, e, f)',
    'a: orders.id; b: orders.user_id; c: orders.total; d: orders.card_number; e: orders.created_at; f: cards.id; pan: cards.pan; cvv: cards.cvv; holder: cards.holder',
  ],
  ['WITH c(a, b) AS (SELECT id, ssn FROM users) SELECT b FROM c', 'b: users.ssn'],
  [
    "WITH RECURSIVE r(n, x) AS (SELECT 1, ''::text UNION ALL SELECT n + 1, x || (SELECT max(ssn) FROM users) FROM r WHERE n < 3) SELECT x FROM r",
    'x: derived users.ssn',
  ],
  [
    'WITH RECURSIVE r AS (SELECT id, email FROM users UNION ALL SELECT u.id, u.email FROM users u JOIN r ON r.id = u.id WHERE false) SELECT email FROM r',
    'email: users.email',
  ],
  [
    'WITH RECURSIVE b AS (SELECT * FROM a), a AS (SELECT pan FROM cards) SELECT * FROM b',
    'pan: cards.pan',
  ],
  [
    'WITH RECURSIVE r AS (SELECT id, ssn FROM users UNION ALL SELECT id + 1, ssn FROM r WHERE false) SEARCH DEPTH FIRST BY id SET o CYCLE id SET c USING p SELECT o, c, p FROM r',
    'o: derived users.id users.ssn; c: derived users.id users.ssn; p: derived users.id users.ssn',
  ],
  ['SELECT ssn FROM users UNION ALL SELECT NULL', 'ssn: users.ssn'],
  ['SELECT ssn FROM users UNION SELECT name FROM users', 'ssn: merged users.name users.ssn'],
  [
    "VALUES ((SELECT pan FROM cards LIMIT 1), 'x'), ('y', NULL)",
    'column1: merged cards.pan; column2: ',
  ],
  [
    'SELECT mail, code FROM contacts',
    'mail: contacts.mail users.email; code: total contacts.code users.ssn',
  ],
  ['SELECT * FROM over_contacts', 'mail: contacts.mail over_contacts.mail users.email'],
  ['SELECT doc FROM search', 'doc: total search.doc users.name users.ssn'],
  ['SELECT short, nick FROM people', 'short: total people.nick people.short; nick: people.nick'],
  ['SELECT v FROM parts', 'v: parts.v'],
  ['SELECT * FROM names()', 'names: derived users.name'],
  ['SELECT x FROM names() x', 'x: derived users.name'],
  ['SELECT ssn FROM everyone()', 'ssn: derived users.ssn'],
  ['SELECT * FROM pairs()', 'a: derived users.id; b: derived users.ssn'],
  ['SELECT p.b FROM atomic_pairs() p', 'b: derived users.email'],
  ['SELECT pure(id) FROM orders', 'pure: derived orders.id'],
  [
    'SELECT c.fullrec FROM users c',
    'fullrec: derived users.dob users.email users.id users.name users.notes users.salary users.ssn',
  ],
  [
    'SELECT first_value(pan) OVER w, row_number() OVER (ORDER BY cvv) FROM cards WINDOW w AS (PARTITION BY holder)',
    'first_value: derived cards.holder cards.pan; row_number: derived cards.cvv',
  ],
  [
    "SELECT * FROM jsonb_to_record('{}') AS x(a int, b text), generate_series(1, 2) g, unnest(ARRAY[1], ARRAY[2]) u(c), json_each('{}')",
    'a: ; b: ; g: ; c: ; unnest: ; key: ; value: ',
  ],
  [
    "SELECT t.* FROM users u, XMLTABLE('/r' PASSING xmlelement(name r, u.ssn) COLUMNS x text PATH '.', y int PATH 'z') t",
    'x: derived users.ssn; y: derived users.ssn',
  ],
  [
    "SELECT t.* FROM users u, JSON_TABLE(u.notes, '$' COLUMNS (a text PATH '$.a', NESTED '$.b' COLUMNS (c int PATH '$'))) t",
    'a: derived users.notes; c: derived users.notes',
  ],
  ['SELECT ctid, tableoid, id FROM ONLY people', 'ctid: ; tableoid: ; id: people.id'],
  [
    'SELECT * FROM users TABLESAMPLE SYSTEM (100) WHERE false',
    'id: users.id; name: users.name; email: users.email; ssn: users.ssn; salary: users.salary; dob: users.dob; notes: users.notes',
  ],
  [
    'UPDATE users SET name = ssn WHERE false RETURNING name, users.id',
    'name: derived users.name users.ssn; id: users.id',
  ],
  [
    'UPDATE products p SET title = u.email FROM users u WHERE u.id = p.id RETURNING p.title, u.id',
    'title: derived products.title users.email; id: users.id',
  ],
  [
    'DELETE FROM orders USING users WHERE user_id = users.id AND false RETURNING users.ssn, card_number',
    'ssn: users.ssn; card_number: orders.card_number',
  ],
  [
    'INSERT INTO audit_log (message) SELECT ssn FROM users WHERE false RETURNING message',
    'message: derived audit_log.message users.ssn',
  ],
  [
    "INSERT INTO users (id, name) VALUES (1, 'z') ON CONFLICT (id) DO UPDATE SET name = users.ssn RETURNING name",
    'name: derived users.name users.ssn',
  ],
  [
    'MERGE INTO products p USING users u ON p.id = u.id WHEN MATCHED AND false THEN UPDATE SET title = u.ssn RETURNING *',
    'id: users.id; name: users.name; email: users.email; ssn: users.ssn; salary: users.salary; dob: users.dob; notes: users.notes; id: products.id; title: derived products.title users.ssn; price: products.price; qty: products.qty',
  ],
  [
    'UPDATE products SET qty = 1 WHERE id = 1 RETURNING old.title, new.qty, *',
    'title: products.title; qty: products.qty; id: products.id; title: products.title; price: products.price; qty: products.qty',
  ],
  [
    'WITH d AS (DELETE FROM orders WHERE false RETURNING card_number) SELECT * FROM d',
    'card_number: orders.card_number',
  ],
  [
    'SELECT relname, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LIMIT 1',
    'relname: ; nspname: ',
  ],
  [
    'SELECT current_date, current_user, now(), (SELECT 1), 1 AS x, ARRAY[1], ROW(1, 2), greatest(1, 2), interval $$1 day$$, $$a$$::text',
    'current_date: ; current_user: ; now: ; ?column?: ; x: ; array: ; row: ; greatest: ; interval: ; text: ',
  ],
]

describe('lineage with a real database', () => {
  let database: Database
  let client: pg.Client
  let analyser: Analyser
  let catalog: Catalog

  before(async () => {
    database = await freshDatabase(await postgres18(), 'lineage')
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await client.query(SCHEMA)
    await client.query(MORE)
    catalog = await loadCatalog(client)
    analyser = createAnalyser()
    await analyser.ready()
  })

  after(async () => {
    await client.end()
    await database.drop()
    await analyser.close()
  })

  const lineageOf = async (sql: string, scope = EMPTY_SCOPE): Promise<Lineage> => {
    const analysis = await analyser.analyse(Buffer.from(sql), scope, catalog)
    assert.ok(analysis.ok, sql)
    const [statement] = analysis.statements
    assert.ok(statement !== undefined)
    return analyser.lineage(statement, scope, catalog)
  }

  const nameOf = ({ relation, column }: Origin): string => {
    const found = catalog.relations.get(relation)
    const name = found?.columns.find(({ number }) => number === column)?.name
    return found === undefined ? '' : `${found.name}.${name ?? column}`
  }

  const names = (origins: readonly Origin[]) => origins.map(nameOf).toSorted().join(' ')

  const outputsOf = ({ columns }: Lineage): string =>
    (columns ?? [])
      .map(({ name, flow, from }) => {
        const isPlain = flow === 'same' || from.length === 0
        return `${name}: ${isPlain ? '' : `${flow} `}${names(from)}`
      })
      .join('; ')

  /** What the server says of a statement before it runs. */
  const described = async (sql: string): Promise<pg.FieldDef[]> => {
    await client.query('BEGIN')
    try {
      return (await client.query({ text: sql, rowMode: 'array' })).fields
    } finally {
      await client.query('ROLLBACK')
    }
  }

  for (const [sql, outputs] of OUTPUTS) {
    it(`finds where ${sql.slice(0, 110)} comes from`, async () => {
      const lineage = await lineageOf(sql)
      assert.deepEqual(lineage.unknown, [])
      assert.equal(outputsOf(lineage), outputs)
      const fields = await described(sql)
      assert.deepEqual(
        lineage.columns?.map(({ name }) => name),
        fields.map(({ name }) => name),
      )
      fields.forEach(({ tableID, columnID, name }, i) => {
        if (tableID === 0) return
        const { reported = [], from = [] } = lineage.columns?.[i] ?? {}
        const isKnown = [...reported, ...from].some(
          // The driver reads the column's number without its sign.
          ({ relation, column }) =>
            relation === tableID && (column & 0xffff) === (columnID & 0xffff),
        )
        assert.ok(isKnown, `the server reports ${tableID}.${columnID} for ${name}`)
      })
    })
  }

  const USES: readonly (readonly [sql: string, uses: string])[] = [
    ["SELECT 1 FROM users WHERE ssn = '1' AND id = $1", 'WHERE= users.id; WHERE= users.ssn'],
    ["SELECT 1 FROM users WHERE ssn = '1' OR id = 2", 'WHERE users.id; WHERE users.ssn'],
    ["SELECT 1 FROM users WHERE ssn LIKE '1%'", 'WHERE users.ssn'],
    [
      'SELECT 1 FROM users WHERE id > 1 AND name = email',
      'WHERE users.id; WHERE>< users.email; WHERE>< users.name',
    ],
    [
      'SELECT 1 FROM users u JOIN orders o ON o.user_id = u.id',
      'JOIN>< orders.user_id; JOIN>< users.id',
    ],
    ['SELECT 1 FROM users JOIN orders USING (id)', 'JOIN>< orders.id; JOIN>< users.id'],
    ['SELECT name FROM users ORDER BY ssn', 'ORDER BY users.ssn'],
    ['SELECT name AS n FROM users ORDER BY n, 1', 'ORDER BY users.name'],
    ['SELECT DISTINCT ON (ssn) name FROM users', 'DISTINCT users.ssn'],
    ['SELECT DISTINCT name FROM users', 'DISTINCT users.name'],
    [
      'SELECT count(*) FROM users GROUP BY ROLLUP (dob, name) HAVING max(salary) > 1',
      'GROUP BY users.dob; GROUP BY users.name; HAVING users.salary',
    ],
    ['SELECT 1 FROM users LIMIT (SELECT max(id) FROM orders)', 'LIMIT orders.id'],
    ['SELECT pan FROM cards EXCEPT SELECT ssn FROM users', 'UNION cards.pan; UNION users.ssn'],
    ['SELECT pan FROM cards UNION ALL SELECT ssn FROM users', ''],
    ['SELECT sum(id) OVER (ORDER BY cvv) FROM cards', 'WINDOW cards.cvv'],
    ['INSERT INTO users (id) VALUES (1) ON CONFLICT (email) DO NOTHING', 'ON CONFLICT users.email'],
    ['SELECT id FROM adults', 'WHERE users.dob'],
    ['SELECT name FROM (SELECT name, ssn::int FROM users OFFSET 0) q', 'COLUMN users.ssn'],
    ['SELECT 1 FROM users, generate_series(1, left(ssn, 3)::int)', 'COLUMN users.ssn'],
    ['CREATE INDEX ON orders (card_number)', 'INDEX orders.card_number'],
    ['DECLARE c CURSOR FOR SELECT 1 FROM users WHERE ssn IS NULL', 'WHERE users.ssn'],
  ]

  for (const [sql, uses] of USES) {
    it(`finds what decides in ${sql.slice(0, 110)}`, async () => {
      const lineage = await lineageOf(sql)
      assert.deepEqual(lineage.unknown, [])
      const found = lineage.uses.map(
        ({ place, isEquality, isJoin, origin }) =>
          `${place}${isEquality ? '=' : ''}${isJoin ? '><' : ''} ${nameOf(origin)}`,
      )
      assert.equal(found.toSorted().join('; '), uses)
    })
  }

  const STORED: readonly (readonly [sql: string, stored: string])[] = [
    ['CREATE TABLE t AS SELECT pan FROM cards', 'CREATE TABLE AS <- cards.pan'],
    ['SELECT pan INTO TEMP t FROM cards', 'SELECT INTO <- cards.pan'],
    ['CREATE VIEW v AS SELECT pan FROM cards', 'CREATE VIEW <- cards.pan'],
    [
      'CREATE MATERIALIZED VIEW v AS SELECT pan FROM cards',
      'CREATE MATERIALIZED VIEW <- cards.pan',
    ],
    ['INSERT INTO audit_log (message) SELECT ssn FROM users', 'audit_log.message <- users.ssn'],
    ["INSERT INTO users (id, email) VALUES (1, 'a')", 'users.email <- ; users.id <- '],
    [
      'UPDATE contacts SET mail = (SELECT max(pan) FROM cards)',
      'contacts.mail <- cards.pan; users.email <- cards.pan',
    ],
    [
      'UPDATE products SET (title, qty) = (SELECT ssn, id FROM users LIMIT 1)',
      'products.qty <- users.id; products.title <- users.ssn',
    ],
    ['COPY products (title) FROM STDIN', 'products.title <- '],
    ["SELECT set_config('a.b', ssn, false) FROM users", 'set_config() <- users.ssn'],
    ["SELECT pg_notify('c', ssn) FROM users", 'pg_notify() <- users.ssn'],
    [
      'ALTER TABLE cards RENAME pan TO x',
      'ALTER COLUMN <- cards.cvv cards.holder cards.id cards.pan',
    ],
    ['ALTER TABLE cards ADD COLUMN y int', ''],
    ['ALTER TABLE products ADD COLUMN y text DEFAULT names()', 'DEFAULT <- users.name'],
    ['CREATE TABLE t (y text DEFAULT names())', 'DEFAULT <- users.name'],
    [
      'UPDATE people SET nick[(SELECT id FROM orders)] = 1',
      'people.nick <- ; people.nick <- orders.id',
    ],
  ]

  for (const [sql, stored] of STORED) {
    it(`finds what ${sql.slice(0, 110)} stores`, async () => {
      const lineage = await lineageOf(sql)
      assert.deepEqual(lineage.unknown, [])
      const found = lineage.stored.map(
        ({ target, from, where }) =>
          `${target === undefined ? where : nameOf(target)} <- ${names(from)}`,
      )
      assert.equal(found.toSorted().join('; '), stored)
    })
  }

  it('counts what triggers read among what comes back', async () => {
    assert.equal(
      outputsOf(await lineageOf("INSERT INTO watched VALUES (1, 'x') RETURNING b")),
      'b: watched.b',
    )
    assert.match(
      outputsOf(await lineageOf('INSERT INTO filled VALUES (1) RETURNING b')),
      /users\.ssn/,
    )
  })

  it('counts what triggers carry from one column of the row to another', async () => {
    assert.equal(
      outputsOf(await lineageOf("INSERT INTO carried VALUES (1, 'x', 'y', 'z') RETURNING b, d")),
      'b: derived carried.a carried.b carried.c; d: carried.d',
    )
    assert.match(
      outputsOf(await lineageOf('UPDATE carried SET a = 2 RETURNING b, d')),
      /^b: derived .*carried\.c.*; d: derived .*carried\.c/,
    )
  })

  const UNKNOWN = [
    'SELECT * FROM nowhere',
    'SELECT nothing FROM users',
    'SELECT missing(ssn) FROM users',
    "SELECT dynamic('SELECT ssn FROM users')",
    "SELECT query_to_xml('SELECT ssn FROM users', false, false, '')",
    'INSERT INTO ruled VALUES (1)',
    'EXECUTE p',
    'EXECUTE p (names())',
    'FETCH ALL FROM c',
    'DO $$ BEGIN END $$',
    'SELECT 1 <!!> 2',
  ]

  for (const sql of UNKNOWN) {
    it(`does not understand ${sql}`, async () => {
      assert.notDeepEqual((await lineageOf(sql)).unknown, [])
    })
  }

  it('says where code runs', async () => {
    assert.equal((await lineageOf('SELECT 1 FROM users')).runsCode, false)
    assert.equal((await lineageOf('SELECT pure(1)')).runsCode, true)
    assert.equal((await lineageOf("INSERT INTO watched VALUES (1, 'x')")).runsCode, true)
  })

  it('sees through code that only reads', async () => {
    const lineage = await lineageOf('SELECT find(1)')
    assert.deepEqual(lineage.unknown, [])
    assert.match(outputsOf(lineage), /users\.email/)
  })

  it('names what shows the data of others', async () => {
    const statistics = async (sql: string) => (await lineageOf(sql)).statistics.join(' ')
    assert.equal(await statistics('SELECT most_common_vals FROM pg_stats'), 'pg_stats')
    assert.equal(await statistics('SELECT pid, state FROM pg_stat_activity'), '')
    assert.equal(await statistics('SELECT * FROM pg_stat_activity'), 'pg_stat_activity.query')
    assert.equal(await statistics("SELECT pg_read_file('x')"), 'pg_read_file')
  })

  it('finds literals, where they stand, and what they meet', async () => {
    const sql = "UPDATE users SET email = E'ü\\'x', dob = $2 WHERE ssn IN ('a', $3) AND 5 = id"
    const { literals } = await lineageOf(sql)
    const found = literals.map(({ origin, role, at, value }) => {
      const text =
        'parameter' in at
          ? `$${at.parameter}`
          : Buffer.from(sql).subarray(at.offset, at.offset + at.length)
      return `${role} ${nameOf(origin)} ${text} ${value}`
    })
    assert.deepEqual(found, [
      "written users.email E'ü\\'x' ü'x",
      'written users.dob $2 undefined',
      "compared users.ssn 'a' a",
      'compared users.ssn $3 undefined',
      'compared users.id 5 5',
    ])
  })

  it('explains a plan by all that the statement does', async () => {
    const { isExplain, columns } = await lineageOf("EXPLAIN SELECT pan FROM cards WHERE cvv = '1'")
    assert.equal(isExplain, true)
    assert.deepEqual(
      columns?.map(({ from }) => names(from)),
      ['cards.cvv cards.pan'],
    )
  })

  it('follows prepared statements and cursors of the session', async () => {
    const prepare = await analyser.analyse(
      Buffer.from('PREPARE p AS SELECT ssn FROM users; DECLARE c CURSOR FOR TABLE cards'),
      EMPTY_SCOPE,
      catalog,
    )
    assert.ok(prepare.ok)
    const scope = prepare.statements.reduce(settle, EMPTY_SCOPE)
    assert.equal(outputsOf(await lineageOf('EXECUTE p', scope)), 'ssn: users.ssn')
    assert.match(outputsOf(await lineageOf('FETCH c', scope)), /pan: cards\.pan/)
    assert.equal((await lineageOf('MOVE c', scope)).columns, undefined)
  })

  it('knows plain temporary tables of the session, and no others', async () => {
    const scopeAfter = async (sql: string, scope = EMPTY_SCOPE): Promise<Scope> => {
      const analysis = await analyser.analyse(Buffer.from(sql), scope, catalog)
      assert.ok(analysis.ok)
      return analysis.statements.reduce(settle, scope)
    }
    const scope = await scopeAfter('CREATE TEMP TABLE own (a int PRIMARY KEY, b text NOT NULL)')
    const read = await lineageOf('SELECT b, o.* FROM own o', scope)
    assert.deepEqual(read.unknown, [])
    assert.equal(outputsOf(read), 'b: ; a: ; b: ')
    const write = await lineageOf('INSERT INTO own SELECT id, ssn FROM users', scope)
    assert.deepEqual(write.unknown, [])
    assert.deepEqual(
      write.stored.map(({ target, from }) => [target, names(from)]),
      [
        [undefined, 'users.id'],
        [undefined, 'users.ssn'],
      ],
    )
    assert.notDeepEqual((await lineageOf('SELECT b FROM own')).unknown, [])
    const twice = await scopeAfter('CREATE TEMP TABLE own (c int)', scope)
    assert.notDeepEqual((await lineageOf('SELECT b FROM own', twice)).unknown, [])
    for (const table of [
      'own (a int DEFAULT 1)',
      'own (a int) INHERITS (users)',
      'own (LIKE users)',
    ]) {
      const odd = await scopeAfter(`CREATE TEMP TABLE ${table}`)
      assert.notDeepEqual((await lineageOf('SELECT a FROM own', odd)).unknown, [], table)
    }
    const hidden = await scopeAfter('CREATE TEMP TABLE cards (pan text)')
    assert.equal(outputsOf(await lineageOf('SELECT pan FROM cards', hidden)), 'pan: cards.pan')
  })

  it('takes every relation of a name for meant once the path has moved', async () => {
    const moved: Scope = withMovedPath(EMPTY_SCOPE)
    const products = await lineageOf('SELECT title FROM products', moved)
    assert.deepEqual(products.unknown, [])
    assert.equal(products.columns?.[0]?.from.length, 2)
    assert.notDeepEqual((await lineageOf('SELECT * FROM cards', moved)).unknown, [])
    assert.deepEqual((await lineageOf('SELECT * FROM users', moved)).unknown, [])
  })

  it('loads what columns are called, typed and said of', async () => {
    const users = [...catalog.relations.values()].find(({ name }) => name === 'users')
    const columns = users?.columns.map(({ number, name, typeOid, notNull }) => [
      number,
      name,
      typeOid,
      notNull,
    ])
    assert.deepEqual(columns?.slice(0, 3), [
      [1, 'id', 23, true],
      [2, 'name', 25, false],
      [3, 'email', 25, false],
    ])
    const people = [...catalog.relations.values()].find(({ name }) => name === 'people')
    assert.match(people?.columns[2]?.generated ?? '', /left/i)
    await client.query("COMMENT ON COLUMN users.ssn IS 'pii'")
    const again = await loadCatalog(client)
    assert.equal(again.relations.get(users?.oid ?? 0)?.columns[3]?.comment, 'pii')
  })

  it('answers for a short statement well under the time of asking the server', async () => {
    const analysis = await analyser.analyse(
      Buffer.from('SELECT id, name, email FROM users WHERE id = $1 LIMIT 1'),
      EMPTY_SCOPE,
      catalog,
    )
    assert.ok(analysis.ok)
    const [statement] = analysis.statements
    assert.ok(statement !== undefined)
    const started = process.hrtime.bigint()
    const rounds = 2000
    // A copy is another statement to the memo.
    for (let i = 0; i < rounds; i++) analyser.lineage({ ...statement }, EMPTY_SCOPE, catalog)
    const each = Number(process.hrtime.bigint() - started) / 1000 / rounds
    assert.ok(each < 1000, `${each} µs`)
  })
})
