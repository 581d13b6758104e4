import assert from 'node:assert/strict'
import { type Analyser, createAnalyser, EMPTY_SCOPE, type Statement } from '../../src/sql/index.ts'

/**
 * Every place of PL/pgSQL where SQL can stand, each with a function of its own. `#` becomes its
 * name.
 */
const PLACES: Readonly<Record<string, string>> = {
  'default of a variable': 'DECLARE x int := #(); BEGIN END',
  'default of a constant': 'DECLARE x CONSTANT int = #(); BEGIN END',
  'bound cursor': 'DECLARE c CURSOR FOR SELECT #(); BEGIN OPEN c; END',
  'argument of a cursor': 'DECLARE c CURSOR (k int) FOR SELECT k; BEGIN OPEN c(#()); END',
  'argument of a cursor in FOR':
    'DECLARE c CURSOR (k int) FOR SELECT k; BEGIN FOR r IN c(#()) LOOP END LOOP; END',
  'open cursor': 'DECLARE c refcursor; BEGIN OPEN c FOR SELECT #(); END',
  assignment: 'DECLARE x int; BEGIN x := #(); END',
  'assignment with =': 'DECLARE x int; BEGIN x = #(); END',
  'assignment to a field': 'DECLARE x record; BEGIN x.a := #(); END',
  'assignment to an element': `DECLARE x int[]; BEGIN x[#()] := 1; END`,
  'assignment of := in a string': `DECLARE x text[]; BEGIN x[':='] := #(':=', a := 1); END`,
  'nested block': 'BEGIN BEGIN PERFORM #(); END; END',
  'default in a nested block': 'BEGIN DECLARE x int := #(); BEGIN END; END',
  IF: 'BEGIN IF #() THEN NULL; END IF; END',
  THEN: 'BEGIN IF true THEN PERFORM #(); END IF; END',
  ELSIF: 'BEGIN IF true THEN NULL; ELSIF #() THEN NULL; END IF; END',
  'ELSIF THEN': 'BEGIN IF true THEN NULL; ELSIF true THEN PERFORM #(); END IF; END',
  ELSE: 'BEGIN IF true THEN NULL; ELSE PERFORM #(); END IF; END',
  CASE: 'BEGIN CASE #() WHEN 1 THEN NULL; END CASE; END',
  WHEN: 'BEGIN CASE 1 WHEN #() THEN NULL; END CASE; END',
  'WHEN THEN': 'BEGIN CASE 1 WHEN 1 THEN PERFORM #(); END CASE; END',
  'CASE ELSE': 'BEGIN CASE 1 WHEN 1 THEN NULL; ELSE PERFORM #(); END CASE; END',
  'searched CASE': 'BEGIN CASE WHEN #() THEN NULL; END CASE; END',
  LOOP: 'BEGIN LOOP PERFORM #(); END LOOP; END',
  WHILE: 'BEGIN WHILE #() LOOP NULL; END LOOP; END',
  'WHILE body': 'BEGIN WHILE true LOOP PERFORM #(); END LOOP; END',
  'FOR from': 'BEGIN FOR i IN #()..2 LOOP NULL; END LOOP; END',
  'FOR to': 'BEGIN FOR i IN 1..#() LOOP NULL; END LOOP; END',
  'FOR by': 'BEGIN FOR i IN 1..2 BY #() LOOP NULL; END LOOP; END',
  'FOR body': 'BEGIN FOR i IN 1..2 LOOP PERFORM #(); END LOOP; END',
  'FOR query': 'DECLARE r record; BEGIN FOR r IN SELECT #() LOOP NULL; END LOOP; END',
  'FOR query body': 'DECLARE r record; BEGIN FOR r IN SELECT 1 LOOP PERFORM #(); END LOOP; END',
  'FOR cursor body':
    'DECLARE c CURSOR FOR SELECT 1; BEGIN FOR r IN c LOOP PERFORM #(); END LOOP; END',
  FOREACH: 'DECLARE x int; BEGIN FOREACH x IN ARRAY #() LOOP NULL; END LOOP; END',
  'FOREACH body': 'DECLARE x int; BEGIN FOREACH x IN ARRAY y LOOP PERFORM #(); END LOOP; END',
  EXIT: 'BEGIN LOOP EXIT WHEN #(); END LOOP; END',
  CONTINUE: 'BEGIN LOOP CONTINUE WHEN #(); END LOOP; END',
  RETURN: 'BEGIN RETURN #(); END',
  'RETURN QUERY': 'BEGIN RETURN QUERY SELECT #(); END',
  RAISE: `BEGIN RAISE NOTICE '%', #(); END`,
  'RAISE USING': `BEGIN RAISE EXCEPTION 'x' USING DETAIL = #(); END`,
  ASSERT: 'BEGIN ASSERT #(); END',
  'ASSERT message': 'BEGIN ASSERT true, #(); END',
  PERFORM: 'BEGIN PERFORM #(); END',
  statement: 'BEGIN INSERT INTO t VALUES (#()); END',
  'statement INTO': 'DECLARE x int; BEGIN SELECT #() INTO STRICT x; END',
  'CALL argument': 'BEGIN CALL p(#()); END',
  'FETCH count': 'DECLARE c refcursor; BEGIN MOVE FORWARD #() FROM c; END',
  'exception handler': 'BEGIN NULL; EXCEPTION WHEN others THEN PERFORM #(); END',
}

/** The same for text that is put together at run time. */
const DYNAMIC: Readonly<Record<string, string>> = {
  EXECUTE: 'BEGIN EXECUTE #(); END',
  'EXECUTE USING': `BEGIN EXECUTE 'x' USING #(); END`,
  'EXECUTE INTO': `DECLARE x int; BEGIN EXECUTE #() INTO x; END`,
  'FOR EXECUTE': 'DECLARE r record; BEGIN FOR r IN EXECUTE #() LOOP NULL; END LOOP; END',
  'FOR EXECUTE USING': `DECLARE r record; BEGIN FOR r IN EXECUTE 'x' USING #() LOOP NULL; END LOOP; END`,
  'FOR EXECUTE body': `DECLARE r record; BEGIN FOR r IN EXECUTE 'x' LOOP PERFORM #(); END LOOP; END`,
  'OPEN EXECUTE': 'DECLARE c refcursor; BEGIN OPEN c FOR EXECUTE #(); END',
  'OPEN EXECUTE USING': `DECLARE c refcursor; BEGIN OPEN c FOR EXECUTE 'x' USING #(); END`,
  'RETURN QUERY EXECUTE': 'BEGIN RETURN QUERY EXECUTE #(); END',
  'RETURN QUERY EXECUTE USING': `BEGIN RETURN QUERY EXECUTE 'x' USING #(); END`,
}

describe('PL/pgSQL bodies', () => {
  let analyser: Analyser

  before(async () => {
    analyser = createAnalyser()
    await analyser.ready()
  })

  after(() => analyser.close())

  async function create(body: string, returns = 'SETOF int'): Promise<Statement> {
    const sql = `CREATE FUNCTION made() RETURNS ${returns} LANGUAGE plpgsql AS $body$${body}$body$`
    const analysis = await analyser.analyse(Buffer.from(sql), EMPTY_SCOPE)
    assert(analysis.ok, body)
    const [statement] = analysis.statements
    assert(statement !== undefined)
    return statement
  }

  for (const [place, body] of Object.entries(PLACES)) {
    it(`reads ${place}`, async () => {
      const returns = place === 'RETURN' ? 'int' : 'SETOF int'
      const statement = await create(body.replaceAll('#', 'marker'), returns)
      assert.deepEqual(
        statement.functions.filter(name => name === 'marker'),
        ['marker'],
      )
      assert(!statement.needs.includes('admin'), 'taken for unreadable')
      assert(statement.needs.includes('write'))
    })
  }

  for (const [place, body] of Object.entries(DYNAMIC)) {
    it(`does not trust ${place}`, async () => {
      const statement = await create(body.replaceAll('#', 'marker'))
      assert.deepEqual(statement.functions, ['marker'])
      assert(statement.needs.includes('admin'))
      assert.deepEqual(statement.hazards, ['code'])
    })
  }

  it('finds what statements do', async () => {
    const statement = await create(
      'BEGIN DELETE FROM orders; UPDATE users SET a = 1 WHERE id = 2; END',
    )
    assert.deepEqual(statement.kinds, ['CREATE', 'UPDATE', 'DELETE'])
    assert.deepEqual(statement.needs, ['write', 'ddl'])
    assert.equal(statement.where, 'missing')
  })

  it('leaves the session alone that only creates it', async () => {
    const statement = await create(
      `BEGIN SET role = x; COMMIT; PERFORM set_config('a.b', 'c', true); END`,
    )
    assert.deepEqual(statement.settings, [])
    assert.equal(statement.transaction, undefined)
    assert(statement.needs.includes('admin'))
  })

  it('takes what it can not read for anything', async () => {
    // Whether users has a column name only the database knows.
    const statement = await create('DECLARE x users%ROWTYPE; BEGIN x.name := 1; END')
    const broken = await create('BEGIN DELETE users; END')
    for (const one of [statement, broken]) assert.deepEqual(one.hazards, ['code'])
  })
})
