import assert from 'node:assert/strict'
import { FAILING_PARSE, FAILING_QUERY, FAILING_UNNAMED_PARSE } from '../../src/gate/refusal.ts'
import {
  bind,
  close,
  cstring,
  describe_,
  execute,
  fieldsOf,
  flush,
  frame,
  int16,
  int32,
  parse,
  query,
  sync,
  terminate,
} from '../helpers/raw.ts'
import { BACKEND, EVERYTHING, type Lab, NOBODY, READER, Workbench, WRITER } from './lab.ts'

const { parsed, bound, closed, row, complete, ready, error, description } = BACKEND

/** The SQLSTATE the client gets in place of the server's syntax error. */
function refused(lab: Lab): string | undefined {
  const heard = lab.receive(error('42601'))
  return fieldsOf({ tag: 'E', body: heard.subarray(5) }).C
}

const call = (oid: number, ...values: readonly number[]) =>
  frame(
    'F',
    Buffer.concat([
      ...[int32(oid), int16(1), int16(1), int16(values.length)],
      ...values.flatMap(value => [int32(4), int32(value)]),
      int16(1),
    ]),
  )

describe('gate/router', () => {
  let bench: Workbench

  before(async () => {
    bench = await Workbench.open()
  })

  after(() => bench.close())

  describe('what may run', () => {
    it('goes on byte for byte', () => {
      const lab = bench.lab(READER)
      for (const messages of [
        [query('select 1')],
        [parse('select $1'), bind(['x']), describe_('P'), execute('', 7), flush, sync],
        [close('S', 's'), close('P', 'p'), sync],
        [query('begin'), query('commit'), sync],
        [terminate],
      ]) {
        assert.deepEqual(lab.send(...messages), Buffer.concat(messages))
      }
    })

    it('is on record with its parameters', async () => {
      const lab = bench.lab(READER)
      lab.send(parse('select $1, $2'), bind(['x', null]), execute(), sync)
      const [first] = await lab.recorded()
      assert.equal(first?.text, 'select $1, $2')
      assert.deepEqual(first.parameters, ['x', null])
    })

    it('is one record for each statement of a query', async () => {
      const lab = bench.lab()
      lab.send(query('begin; select 1 ;; commit'))
      assert.deepEqual(
        (await lab.recorded()).map(({ text }) => text),
        ['begin', 'select 1', 'commit'],
      )
    })
  })

  describe('what may not run', () => {
    it('is replaced by a statement that fails for sure', async () => {
      const lab = bench.lab(READER)
      assert.deepEqual(lab.send(query('delete from t')), FAILING_QUERY)
      assert.equal(refused(lab), '42501')
      lab.receive(ready())
      assert.ok(lab.exchange.isIdle)
      const [denied] = await lab.recorded()
      assert.deepEqual([denied?.type, denied?.text], ['denied', 'delete from t'])
    })

    it('takes the statements beside it in the query along', () => {
      const lab = bench.lab(READER)
      assert.deepEqual(lab.send(query('select 1; delete from t; select 2')), FAILING_QUERY)
    })

    it('is refused at Parse, and skipped from there to the Sync', () => {
      const lab = bench.lab(READER)
      const sent = lab.send(parse('delete from t', 's'), bind([], '', 's'), execute(), sync)
      assert.deepEqual(sent, Buffer.concat([FAILING_PARSE, FAILING_PARSE, FAILING_PARSE, sync]))
      assert.equal(refused(lab), '42501')
      lab.receive(ready())
      assert.ok(lab.exchange.isIdle)
    })

    it('takes the unnamed statement along, as a Parse that fails does', () => {
      const lab = bench.lab(READER)
      lab.send(parse('select 1'), sync)
      lab.receive(Buffer.concat([parsed, ready()]))
      assert.deepEqual(
        lab.send(parse('delete from t'), sync),
        Buffer.concat([FAILING_UNNAMED_PARSE, sync]),
      )
      assert.equal(refused(lab), '42501')
      lab.receive(ready())
      assert.deepEqual(lab.send(bind(), sync), Buffer.concat([FAILING_PARSE, sync]))
      assert.equal(refused(lab), '26000')
    })

    it('is text with a syntax error, answered with its place', () => {
      const lab = bench.lab(READER)
      assert.deepEqual(lab.send(query('selec 1')), FAILING_QUERY)
      const heard = lab.receive(error('42601'))
      const { C, P, M } = fieldsOf({ tag: 'E', body: heard.subarray(5) })
      assert.deepEqual([C, P, M], ['42601', '1', 'syntax error at or near "selec"'])
    })

    it('is an unknown statement or portal', () => {
      for (const [message, sqlstate] of [
        [bind([], '', 'nope'), '26000'],
        [bind(), '26000'],
        [execute('nope'), '34000'],
        [execute(), '34000'],
      ] as const) {
        const lab = bench.lab(READER)
        assert.deepEqual(lab.send(message, sync), Buffer.concat([FAILING_PARSE, sync]))
        assert.equal(refused(lab), sqlstate)
      }
    })

    it('is a statement prepared while it was allowed', () => {
      const lab = bench.lab(WRITER)
      lab.send(parse('delete from t', 's'), sync)
      lab.receive(Buffer.concat([parsed, ready()]))
      lab.regrant(READER)
      assert.deepEqual(lab.send(bind([], '', 's'), sync), Buffer.concat([FAILING_PARSE, sync]))
      assert.equal(refused(lab), '42501')
    })

    it('is a portal bound while it was allowed', () => {
      const lab = bench.lab(WRITER)
      lab.send(query('begin'), parse('delete from t returning 1'), bind([], 'p'), sync)
      lab.receive(Buffer.concat([complete('BEGIN'), ready('T'), parsed, bound, ready('T')]))
      lab.regrant(READER)
      assert.deepEqual(lab.send(execute('p'), sync), Buffer.concat([FAILING_PARSE, sync]))
      assert.equal(refused(lab), '42501')
      lab.receive(ready('E'))
      assert.deepEqual(lab.send(query('fetch all from p')), FAILING_QUERY)
      assert.equal(refused(lab), '42501')
    })

    it('is an EXECUTE of what SQL or the protocol prepared while it was allowed', () => {
      const lab = bench.lab(WRITER)
      lab.send(query('prepare a as delete from t'), parse('delete from t', 'b'), sync)
      lab.receive(Buffer.concat([complete('PREPARE'), ready(), parsed, ready()]))
      lab.regrant(READER)
      for (const name of ['a', 'b']) {
        assert.deepEqual(lab.send(query(`execute ${name}`)), FAILING_QUERY)
        assert.equal(refused(lab), '42501')
        lab.receive(ready())
      }
    })

    it('is an EXECUTE through a portal of what was prepared since', () => {
      const lab = bench.lab(WRITER)
      lab.send(query('prepare a as select 1'), parse('execute a', 's'), sync)
      lab.receive(Buffer.concat([complete('PREPARE'), ready(), parsed, ready()]))
      lab.send(query('deallocate a; prepare a as delete from t'))
      lab.receive(Buffer.concat([complete('DEALLOCATE'), complete('PREPARE'), ready()]))
      lab.regrant(READER)
      assert.deepEqual(lab.send(bind([], '', 's'), sync), Buffer.concat([FAILING_PARSE, sync]))
    })

    it('is what makes the server read the next text otherwise', async () => {
      const lab = bench.lab({ ...EVERYTHING, isUnrestricted: false })
      for (const text of [
        'set standard_conforming_strings = off',
        "set client_encoding = 'SJIS'",
        "select 1; select set_config('standard_conforming_strings', 'off', false)",
        "set names 'BIG5'",
      ]) {
        assert.deepEqual(lab.send(query(text)), FAILING_QUERY, text)
        assert.equal(refused(lab), '0A000')
        lab.receive(ready())
      }
      assert.equal((await lab.recorded()).at(-1)?.type, 'denied')
      for (const text of ['reset client_encoding', "set client_encoding = 'UTF8'", 'reset all'])
        assert.deepEqual(lab.send(query(text)), query(text))
      const free = bench.lab()
      assert.deepEqual(
        free.send(query("set client_encoding = 'SJIS'")),
        query("set client_encoding = 'SJIS'"),
      )
    })

    it('is everything but the end of what is open, when nothing may be done any more', () => {
      const lab = bench.lab(WRITER)
      lab.send(query('begin'))
      lab.receive(Buffer.concat([complete('BEGIN'), ready('T')]))
      lab.regrant(NOBODY)
      assert.deepEqual(lab.send(query('select 1')), FAILING_QUERY)
      assert.deepEqual(lab.send(query('rollback')), query('rollback'))
    })
  })

  describe('names that may mean two things', () => {
    const prepared = (lab: Lab) => {
      lab.send(parse('delete from t where i = 1', 's'), sync)
      lab.receive(Buffer.concat([parsed, ready()]))
    }
    const texts = async (lab: Lab) => (await lab.recorded()).map(({ text }) => text)

    it('are recorded with all they may mean: a duplicate Parse keeps the old text', async () => {
      const lab = bench.lab()
      prepared(lab)
      lab.send(parse('select 1', 's'), sync, bind([], '', 's'), execute(), sync)
      const [text = ''] = await texts(lab)
      assert.match(text, /select 1/)
      assert.match(text, /delete from t where i = 1/)
    })

    it('are recorded with all they may mean: a DEALLOCATE under way', async () => {
      const lab = bench.lab()
      prepared(lab)
      lab.send(query('deallocate s'), parse('select 1', 's'), sync, bind([], '', 's'), sync)
      const text = (await texts(lab)).at(-1) ?? ''
      assert.match(text, /select 1/)
      assert.match(text, /delete from t where i = 1/)
    })

    it('are recorded with all they may mean: a PREPARE under way', async () => {
      const lab = bench.lab()
      lab.send(parse('select 1', 's'), sync)
      lab.receive(Buffer.concat([parsed, ready()]))
      lab.send(query('deallocate s; prepare s as delete from t'), bind([], '', 's'), sync)
      const text = (await texts(lab)).at(-1) ?? ''
      assert.match(text, /select 1/)
      assert.match(text, /delete from t/)
    })

    it('mean one thing once the server has answered', async () => {
      const lab = bench.lab()
      prepared(lab)
      lab.send(parse('select 1', 's'), sync)
      lab.receive(Buffer.concat([error('42P05'), ready()]))
      lab.send(bind([], '', 's'), execute(), sync)
      assert.deepEqual(await texts(lab), ['delete from t where i = 1'])
    })

    it('mean one thing when a failed PREPARE is long over', async () => {
      const lab = bench.lab()
      prepared(lab)
      lab.send(query('prepare s as select 2'))
      lab.receive(Buffer.concat([error('42P05'), ready()]))
      lab.send(bind([], '', 's'), execute(), sync)
      assert.equal((await texts(lab)).at(-1), 'delete from t where i = 1')
    })

    it('mean what was parsed in the same cycle', async () => {
      const lab = bench.lab()
      prepared(lab)
      lab.send(close('S', 's'), parse('select 1', 's'), bind([], '', 's'), execute(), sync)
      assert.deepEqual(await texts(lab), ['select 1'])
      lab.receive(Buffer.concat([closed, parsed, bound, row, complete('SELECT 1'), ready()]))
      lab.send(bind([], '', 's'), execute(), query('execute s'))
      assert.deepEqual(await texts(lab), [
        'select 1',
        'select 1',
        'execute s\n/* executes: select 1 */',
      ])
    })

    it('need what each of their meanings needs', () => {
      const lab = bench.lab(WRITER)
      prepared(lab)
      lab.regrant(READER)
      const sent = lab.send(parse('select 1', 's'), sync, bind([], '', 's'), sync)
      assert.deepEqual(sent, Buffer.concat([parse('select 1', 's'), sync, FAILING_PARSE, sync]))
    })

    it('survive DISCARD ALL when they were sent behind it', async () => {
      const lab = bench.lab()
      prepared(lab)
      lab.send(query('discard all'), parse('select 1', 's'), sync)
      lab.receive(Buffer.concat([complete('DISCARD ALL'), ready(), parsed, ready()]))
      lab.send(bind([], '', 's'), execute(), query('execute s'))
      assert.deepEqual((await texts(lab)).slice(-2), [
        'select 1',
        'execute s\n/* executes: select 1 */',
      ])
    })

    it('of a cursor hide no portal, nor the other way round', async () => {
      const lab = bench.lab()
      lab.send(query('begin'), parse('select 1'), bind([], 'c'), execute('c'), sync)
      lab.receive(
        Buffer.concat([
          ...[complete('BEGIN'), ready('T'), parsed, bound, row],
          ...[complete('SELECT 1'), ready('T')],
        ]),
      )
      lab.send(query('rollback to a; declare c cursor for select secret from t'))
      lab.receive(Buffer.concat([complete('ROLLBACK'), complete('DECLARE CURSOR'), ready('T')]))
      lab.send(execute('c'), sync)
      const text = (await texts(lab)).at(-1) ?? ''
      assert.match(text, /select secret from t/)
      assert.match(text, /select 1/)
    })
  })

  describe('a text that takes long to read', () => {
    const long = `select ${'1 + '.repeat(10_000)}1`

    it('waits, and joins the turn when it is called for', async () => {
      const lab = bench.lab()
      const later = lab.route(query(long))
      assert.ok(later instanceof Promise)
      assert.ok(lab.turn.isEmpty)
      const resume = await later
      assert.ok(lab.turn.isEmpty)
      resume(false)
      assert.deepEqual(lab.forward(), query(long))
    })

    it('leaves nothing on record when nobody calls for it any more', async () => {
      const lab = bench.lab()
      await lab.route(query(`${long} + 2`))
      assert.deepEqual(await lab.recorded(), [])
    })

    it('is not sent when the server has begun to skip in the meantime', async () => {
      const lab = bench.lab()
      lab.send(parse('select 1', 's'), flush)
      const later = lab.route(parse(`${long} + 3`))
      lab.receive(error('42P05'))
      const resume = await later
      resume?.(false)
      assert.deepEqual(lab.forward(), Buffer.alloc(0))
      lab.send(sync)
      lab.receive(ready())
      assert.ok(lab.exchange.isIdle)
    })

    it('goes through Bind too, with its parameters as they were', async () => {
      const lab = bench.lab()
      const again = await lab.route(parse(`execute s(${long}, $1)`, 'e'))
      again?.(false)
      lab.forward()
      lab.receive(parsed)
      // A scope that has changed makes the text be judged anew; the memo answers that at once.
      lab.send(query('prepare s as select $1, $2'))
      lab.send(bind(['x'], '', 'e'), execute(), sync)
      assert.deepEqual((await lab.recorded()).at(-1)?.parameters, ['x'])
    })
  })

  describe('limits', () => {
    it('refuses more names than one session may have, and goes on', () => {
      const lab = bench.lab(WRITER, 3)
      for (const name of ['a', 'b', 'c']) {
        lab.send(parse('select 1', name), sync)
        lab.receive(Buffer.concat([parsed, ready()]))
      }
      for (const message of [parse('select 1', 'd'), bind([], 'p', 'a')]) {
        assert.deepEqual(lab.send(message, sync), Buffer.concat([FAILING_PARSE, sync]))
        assert.equal(refused(lab), '54000')
        lab.receive(ready())
      }
      const unnamed = [parse('select 1'), bind(), execute(), sync]
      assert.deepEqual(lab.send(...unnamed), Buffer.concat(unnamed))
    })

    it('refuses names that PostgreSQL would confuse, and goes on', () => {
      const lab = bench.lab()
      const long = 'n'.repeat(64)
      for (const message of [
        parse('select 1', long),
        bind([], long),
        execute(long),
        describe_('S', long),
        close('P', long),
      ]) {
        assert.deepEqual(lab.send(message, sync), Buffer.concat([FAILING_PARSE, sync]))
        assert.equal(refused(lab), '0A000')
        lab.receive(ready())
      }
    })
  })

  describe('the function call protocol', () => {
    it('carries large objects, recorded as the SELECT they amount to', async () => {
      const lab = bench.lab()
      assert.deepEqual(lab.send(call(952, 7, 3)), call(952, 7, 3))
      lab.receive(Buffer.concat([BACKEND.functionResult, ready()]))
      const [opened] = await lab.recorded()
      assert.equal(opened?.text, 'SELECT pg_catalog.lo_open($1, $2)')
      assert.deepEqual(opened.parameters, [{ base64: 'AAAABw==' }, { base64: 'AAAAAw==' }])
      assert.deepEqual([opened.outcome, opened.rows, opened.completions], ['ok', 1, 1])
    })

    it('carries nothing else', async () => {
      const lab = bench.lab()
      assert.deepEqual(lab.send(call(2096)), FAILING_QUERY)
      assert.equal(refused(lab), '0A000')
      assert.equal((await lab.recorded())[0]?.type, 'denied')
    })

    it('is judged as writing where it writes', () => {
      const lab = bench.lab(READER)
      assert.deepEqual(lab.send(call(964, 7)), FAILING_QUERY)
      assert.equal(refused(lab), '42501')
    })
  })

  describe('what no driver sends', () => {
    const violations = {
      'a password': frame('p', cstring('x')),
      'a Sync with a body': frame('S', Buffer.from('x')),
      'a Query without an end': frame('Q', Buffer.from('x')),
      'a Query with more behind its end': frame('Q', Buffer.from('x\0y\0')),
      'a Bind that lies': frame('B', Buffer.concat([cstring(''), cstring(''), int16(9)])),
    }
    for (const [name, message] of Object.entries(violations)) {
      it(`ends the session: ${name}`, () => {
        assert.throws(() => bench.lab().send(message), { code: 'PROTOCOL' })
      })
    }

    it('is not even looked at while the server skips', () => {
      const lab = bench.lab()
      lab.send(parse('selec'), flush)
      lab.receive(error('42601'))
      assert.deepEqual(lab.send(frame('B', Buffer.from('nonsense'))), Buffer.alloc(0))
      assert.deepEqual(lab.send(sync), sync)
    })
  })

  it('gives up what was staged before the statement that was too long to record', async () => {
    const lab = bench.lab()
    const claim = lab.authorizer.claimQuery(lab.authorizer.describe('select 1', []), () => '')
    lab.authorizer.withdraw([claim])
    lab.authorizer.commit([])
    const [first] = await lab.recorded()
    assert.deepEqual([first?.outcome, first?.completions], ['not-run', 1])
  })

  it('describes rows for whoever masks them later', () => {
    const lab = bench.lab()
    lab.send(query('select 1; select 2'))
    lab.receive(Buffer.concat([description, row, complete('SELECT 1'), description]))
    assert.equal(lab.exchange.currentRun?.id, `${lab.id}.2`)
  })
})
