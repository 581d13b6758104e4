import assert from 'node:assert/strict'
import {
  bind,
  close,
  copyData,
  copyDone,
  copyFail,
  describe_,
  execute,
  flush,
  parse,
  query,
  sync,
} from '../helpers/raw.ts'
import { BACKEND, type Lab, Workbench } from './lab.ts'

const {
  parsed,
  bound,
  closed,
  noData,
  suspended,
  empty,
  parameters,
  description,
  row,
  copyIn,
  copyOut,
  copyDone: copyOutDone,
  notice,
  complete,
  ready,
  error,
} = BACKEND
const copyRow = BACKEND.copyData

/** The client says something, or the server does. */
type Line = readonly ['>' | '<', ...Buffer[]]

type Script = {
  readonly lines: readonly Line[]
  /** `text: outcome` of each run, in the order in which they ended. */
  readonly runs: readonly string[]
  /** What is left unanswered, and the transaction status; `0 I` when left out. */
  readonly left?: string
}

const SCRIPTS: Readonly<Record<string, Script>> = {
  'a simple query': {
    lines: [
      ['>', query('select 1')],
      ['<', description, row, row, complete('SELECT 2'), ready()],
    ],
    runs: ['select 1: ok SELECT 2, 2 rows'],
  },
  'an empty query': {
    lines: [
      ['>', query('')],
      ['<', empty, ready()],
    ],
    runs: [': ok, 0 rows'],
  },
  'several statements, of which the second fails': {
    lines: [
      ['>', query('select 1; select 2; select 3')],
      ['<', description, row, complete('SELECT 1'), error('22012'), ready()],
    ],
    runs: [
      'select 1: ok SELECT 1, 1 rows',
      'select 2: error 22012, 0 rows',
      'select 3: not-run, 0 rows',
    ],
  },
  'a text that the whole server refuses': {
    lines: [
      ['>', query('select 1; select 2')],
      ['<', error('42601'), ready()],
    ],
    runs: ['select 1: error 42601, 0 rows', 'select 2: not-run, 0 rows'],
  },
  'rows of a rule before those of the statement': {
    lines: [
      ['>', query('insert into t values (1)')],
      ['<', description, row, description, row, complete('INSERT 0 1'), ready()],
    ],
    runs: ['insert into t values (1): ok INSERT 0 1, 2 rows'],
  },
  'a cancelled query': {
    lines: [
      ['>', query('select pg_sleep(9)')],
      ['<', description, error('57014'), ready()],
    ],
    runs: ['select pg_sleep(9): cancelled 57014, 0 rows'],
  },
  'parse to sync, with a notice in the middle': {
    lines: [
      ['>', parse('select 1'), bind(), describe_('P'), execute(), sync],
      ['<', parsed, bound, description, notice, row, complete('SELECT 1'), ready()],
    ],
    runs: ['select 1: ok SELECT 1, 1 rows'],
  },
  'describe of a statement that returns nothing': {
    lines: [
      ['>', parse('listen n', 's'), describe_('S', 's'), sync],
      ['<', parsed, parameters, noData, ready()],
    ],
    runs: [],
  },
  'an error skips what stands before the Sync, a Query too': {
    lines: [
      ['>', parse('selec'), bind(), execute(), query('select 2'), describe_('S'), sync],
      ['>', query('select 3')],
      ['<', error('42601'), ready(), description, row, complete('SELECT 1'), ready()],
    ],
    runs: ['selec: skipped, 0 rows', 'select 2: skipped, 0 rows', 'select 3: ok SELECT 1, 1 rows'],
  },
  'an error that arrives while the client goes on without a Sync': {
    lines: [
      ['>', parse('selec'), flush],
      ['<', error('42601')],
      ['>', bind(), execute(), query('select 2')],
      ['>', sync],
      ['<', ready()],
    ],
    runs: [],
  },
  'an error in the middle of a pipeline, answered cycle by cycle': {
    lines: [
      ['>', parse('select 1'), bind(), execute(), sync, bind(), execute(), sync],
      ['<', parsed, bound, error('22012'), ready(), bound, complete('SELECT 0'), ready()],
    ],
    runs: ['select 1: error 22012, 0 rows', 'select 1: ok SELECT 0, 0 rows'],
  },
  'a bind that is never executed': {
    lines: [
      ['>', parse('delete from t'), bind(), sync],
      ['<', parsed, bound, ready()],
    ],
    runs: ['delete from t: ok, 0 rows'],
  },
  'a portal suspended by its row limit, and executed again': {
    lines: [
      ['>', parse('select 1'), bind([], 'p'), execute('p', 1), execute('p', 1), sync],
      ['<', parsed, bound, row, suspended, row, suspended],
      ['<', ready()],
    ],
    runs: ['select 1: ok, 2 rows'],
  },
  'a suspended portal kept by its transaction': {
    lines: [
      ['>', query('begin'), parse('select 1'), bind([], 'p'), execute('p', 1), sync],
      ['<', complete('BEGIN'), ready('T'), parsed, bound, row, suspended, ready('T')],
      ['>', execute('p'), sync],
      ['<', row, complete('SELECT 1'), ready('T')],
    ],
    runs: ['begin: ok BEGIN, 0 rows', 'select 1: ok SELECT 1, 2 rows'],
    left: '0 T',
  },
  'a portal of the next transaction outlives the end of this one': {
    lines: [
      ['>', parse('select 1', 's'), bind([], 'p', 's'), sync, bind([], 'q', 's')],
      ['<', parsed, bound, ready()],
      ['>', execute('q'), sync],
      ['<', bound, row, complete('SELECT 1'), ready()],
    ],
    runs: ['select 1: ok, 0 rows', 'select 1: ok SELECT 1, 1 rows'],
  },
  'a commit inside a cycle ends the portals before it': {
    lines: [
      ['>', parse('select 1'), bind([], 'p'), parse('commit'), bind(), execute(), sync],
      ['<', parsed, bound, parsed, bound, complete('COMMIT')],
    ],
    runs: ['commit: ok COMMIT, 0 rows', 'select 1: ok, 0 rows'],
    left: '1 I',
  },
  'a rollback to a savepoint does not': {
    lines: [
      ['>', parse('select 1'), bind([], 'p'), parse('rollback to a'), bind(), execute(), sync],
      ['<', parsed, bound, parsed, bound, complete('ROLLBACK')],
    ],
    runs: ['rollback to a: ok ROLLBACK, 0 rows'],
    left: '1 I',
  },
  'close ends a portal': {
    lines: [
      ['>', parse('select 1'), bind([], 'p'), close('P', 'p'), close('S'), flush],
      ['<', parsed, bound, closed, closed],
    ],
    runs: ['select 1: ok, 0 rows'],
  },
  'SQL closes a portal': {
    lines: [
      ['>', query('begin'), parse('select 1'), bind([], 'p'), query('close p')],
      ['<', complete('BEGIN'), ready('T'), parsed, bound, complete('CLOSE CURSOR'), ready('T')],
    ],
    runs: ['begin: ok BEGIN, 0 rows', 'close p: ok CLOSE CURSOR, 0 rows', 'select 1: ok, 0 rows'],
    left: '0 T',
  },
  'a cursor of SQL executed piece by piece': {
    lines: [
      ['>', query('begin; declare c cursor for select 1'), execute('c', 1), sync],
      ['<', complete('BEGIN'), complete('DECLARE CURSOR'), ready('T'), row, suspended, ready('T')],
    ],
    runs: [
      'begin: ok BEGIN, 0 rows',
      'declare c cursor for select 1: ok DECLARE CURSOR, 0 rows',
      'Execute of portal "c"\n/* executes: declare c cursor for select 1 */: ok, 1 rows',
    ],
    left: '0 T',
  },
  'a deferred constraint at Sync': {
    lines: [
      ['>', parse('insert into t values (1)'), bind(), execute(), sync],
      ['<', parsed, bound, complete('INSERT 0 1'), error('23503'), ready()],
    ],
    runs: ['insert into t values (1): ok INSERT 0 1, 0 rows'],
  },
  'copy out': {
    lines: [
      ['>', query('copy t to stdout')],
      ['<', copyOut, copyRow, copyRow, copyOutDone, complete('COPY 2'), ready()],
    ],
    runs: ['copy t to stdout: ok COPY 2, 2 rows'],
  },
  'copy in': {
    lines: [
      ['>', query('copy t from stdin')],
      ['<', copyIn],
      ['>', copyData('1\n'), copyDone],
      ['<', complete('COPY 1'), ready()],
    ],
    runs: ['copy t from stdin: ok COPY 1, 0 rows'],
  },
  'two copies in one query, their data sent ahead': {
    lines: [
      ['>', query('copy t from stdin; copy t from stdin')],
      ['>', copyData('1\n'), copyDone, copyData('2\n'), copyDone],
      ['<', copyIn, complete('COPY 1'), copyIn, complete('COPY 1'), ready()],
    ],
    runs: ['copy t from stdin: ok COPY 1, 0 rows', 'copy t from stdin: ok COPY 1, 0 rows'],
  },
  'copy in given up': {
    lines: [
      ['>', query('copy t from stdin')],
      ['<', copyIn],
      ['>', copyFail('no')],
      ['<', error('57014'), ready()],
    ],
    runs: ['copy t from stdin: cancelled 57014, 0 rows'],
  },
  'a server that fails in the middle of copy in': {
    lines: [
      ['>', query('copy t from stdin')],
      ['<', copyIn],
      ['>', copyData('x\n')],
      ['<', error('22P02'), ready()],
      ['>', copyData('2\n'), copyDone, query('select 1')],
      ['<', description, row, complete('SELECT 1'), ready()],
    ],
    runs: ['copy t from stdin: error 22P02, 0 rows', 'select 1: ok SELECT 1, 1 rows'],
  },
  'a server that failed before the client could know': {
    lines: [
      ['>', query('copy t from stdin')],
      ['<', copyIn],
      ['>', copyData('x\n'), copyDone, query('select 1')],
      ['<', error('22P02'), ready(), description, row, complete('SELECT 1'), ready()],
    ],
    runs: ['copy t from stdin: error 22P02, 0 rows', 'select 1: ok SELECT 1, 1 rows'],
  },
  'copy of a table that is not there, its data sent ahead': {
    lines: [
      ['>', query('copy t from stdin'), copyData('1\n'), copyDone, query('select 1')],
      ['<', error('42P01'), ready(), description, row, complete('SELECT 1'), ready()],
    ],
    runs: ['copy t from stdin: error 42P01, 0 rows', 'select 1: ok SELECT 1, 1 rows'],
  },
  'copy in with the Sync that libpq sends early': {
    lines: [
      ['>', parse('copy t from stdin'), bind(), execute(), sync],
      ['<', parsed, bound, copyIn],
      ['>', copyData('1\n'), copyDone, sync],
      ['<', complete('COPY 1'), ready()],
    ],
    runs: ['copy t from stdin: ok COPY 1, 0 rows'],
  },
  'the same, all sent at once': {
    lines: [
      ['>', parse('copy t from stdin'), bind(), execute(), sync, copyData('1\n'), copyDone, sync],
      ['>', query('select 1')],
      ['<', parsed, bound, copyIn, complete('COPY 1'), ready()],
      ['<', description, row, complete('SELECT 1'), ready()],
    ],
    runs: ['copy t from stdin: ok COPY 1, 0 rows', 'select 1: ok SELECT 1, 1 rows'],
  },
  'copy in that reads the early Sync and then fails': {
    lines: [
      ['>', parse('copy t from stdin'), bind(), execute(), sync],
      ['<', parsed, bound, copyIn],
      ['>', copyData('x\n'), copyDone, sync],
      ['<', error('22P02'), ready()],
      ['>', query('select 1')],
      ['<', description, row, complete('SELECT 1'), ready()],
    ],
    runs: ['copy t from stdin: error 22P02, 0 rows', 'select 1: ok SELECT 1, 1 rows'],
  },
  'copy in that fails before it reads the early Sync': {
    lines: [
      ['>', parse('copy t from stdin'), bind(), execute(), sync],
      ['<', parsed, bound, copyIn],
      ['>', copyData('1\n'), copyDone, sync],
      ['<', error('P0001'), ready(), ready()],
      ['>', query('select 1')],
      ['<', description, row, complete('SELECT 1'), ready()],
    ],
    runs: ['copy t from stdin: error P0001, 0 rows', 'select 1: ok SELECT 1, 1 rows'],
  },
  'copy in of a client that sends on without noticing, and that fails': {
    lines: [
      ['>', parse('copy t from stdin'), bind(), execute(), sync, query('select 1')],
      ['<', parsed, bound, copyIn, error('P0001'), ready()],
      ['<', description, row, complete('SELECT 1'), ready()],
    ],
    runs: ['copy t from stdin: error P0001, 0 rows', 'select 1: ok SELECT 1, 1 rows'],
  },
  'a Sync in the middle of simple copy in, answered after the failure': {
    lines: [
      ['>', query('copy t from stdin')],
      ['<', copyIn],
      ['>', copyData('x\n'), sync, sync],
      ['<', error('22P02'), ready(), ready(), ready()],
      ['>', query('select 1')],
      ['<', description, row, complete('SELECT 1'), ready()],
    ],
    runs: ['copy t from stdin: error 22P02, 0 rows', 'select 1: ok SELECT 1, 1 rows'],
  },
  'copy data, and its end, outside of a copy': {
    lines: [
      ['>', copyData('x'), copyDone, copyFail('x'), query('select 1'), copyDone, sync],
      ['<', description, row, complete('SELECT 1'), ready(), ready()],
    ],
    runs: ['select 1: ok SELECT 1, 1 rows'],
  },
  'a server that goes away': {
    lines: [
      ['>', query('select 1'), query('select 2')],
      ['<', description, row, error('57P01', 'FATAL')],
    ],
    runs: ['select 1: error 57P01, 1 rows'],
    left: '2 I',
  },
}

// What the server can't say there. Each ends the session before a row is taken for another statement's.
const VIOLATIONS: Readonly<Record<string, readonly Line[]>> = {
  'an answer to nothing': [['<', complete('SELECT 1')]],
  'an error without a question': [['<', error('XX000')]],
  'ready without a question': [['<', ready()]],
  'ready before the query was answered': [
    ['>', query('select 1')],
    ['<', ready()],
  ],
  'ready in the middle of a pipeline': [
    ['>', parse('select 1'), sync],
    ['<', ready()],
  ],
  'bind complete for a parse': [
    ['>', parse('select 1'), bind(), sync],
    ['<', bound],
  ],
  'command complete for a bind': [
    ['>', parse('select 1'), bind(), execute(), sync],
    ['<', parsed, complete('SELECT 1')],
  ],
  'a description of rows for an execute': [
    ['>', parse('select 1'), bind(), execute(), sync],
    ['<', parsed, bound, description],
  ],
  'parameters for a portal that is executed': [
    ['>', parse('select 1'), bind(), execute(), sync],
    ['<', parsed, bound, parameters],
  ],
  'no data for a query': [
    ['>', query('select 1')],
    ['<', noData],
  ],
  'suspended for a query': [
    ['>', query('select 1')],
    ['<', suspended],
  ],
  'one ready too many after a copy that went well': [
    ['>', query('copy t from stdin')],
    ['<', copyIn],
    ['>', sync, copyDone],
    ['<', complete('COPY 0'), ready(), ready()],
  ],
  'copy in for a parse': [
    ['>', parse('copy t from stdin'), sync],
    ['<', copyIn],
  ],
  'the result of a function nobody called': [
    ['>', query('select 1')],
    ['<', BACKEND.functionResult],
  ],
  'copy both': [
    ['>', query('select 1')],
    ['<', Buffer.from('570000000700000000', 'hex').subarray(0, 8)],
  ],
  authentication: [['<', Buffer.from('520000000800000000', 'hex')]],
}

describe('gate/exchange', () => {
  let bench: Workbench

  before(async () => {
    bench = await Workbench.open()
  })

  after(() => bench.close())

  for (const [name, { lines, runs, left = '0 I' }] of Object.entries(SCRIPTS)) {
    it(`follows ${name}`, () => {
      const lab = bench.lab()
      const staged = lab.watch()
      const counted = new Map<string, number>()
      const heard: Buffer[] = []
      for (const [who, ...bytes] of lines) {
        if (who === '>') lab.send(...bytes)
        else {
          heard.push(...bytes)
          lab.receive(Buffer.concat(bytes), run => {
            assert.ok(run !== null)
            counted.set(run.id, (counted.get(run.id) ?? 0) + 1)
          })
        }
      }
      const ended = lab.finished.map(({ id, end: { outcome, sqlstate, tag } }) => {
        const how = [outcome, sqlstate, tag].filter(part => part !== undefined && part !== '')
        return `${staged.get(id)}: ${how.join(' ')}, ${counted.get(id) ?? 0} rows`
      })
      assert.deepEqual(ended, runs)
      assert.equal(`${lab.exchange.depth} ${lab.exchange.status}`, left)
      assertEachOnce(lab, staged)
    })
  }

  for (const [name, lines] of Object.entries(VIOLATIONS)) {
    it(`takes no ${name}`, () => {
      const lab = bench.lab()
      const talk = () => {
        for (const [who, ...bytes] of lines) {
          if (who === '>') lab.send(...bytes)
          else lab.receive(Buffer.concat(bytes))
        }
      }
      assert.throws(talk, { code: 'PROTOCOL' })
    })
  }

  it('has no run for rows that nobody asked for', () => {
    const lab = bench.lab()
    assert.equal(lab.exchange.currentRun, null)
    lab.send(parse('select 1'), describe_('S'), sync)
    lab.receive(parsed)
    assert.equal(lab.exchange.currentRun, null)
  })

  it('does not grow with the Syncs of a copy', () => {
    const lab = bench.lab()
    lab.send(query('copy t from stdin'))
    lab.receive(copyIn)
    lab.send(...Array.from({ length: 5000 }, () => sync))
    assert.equal(lab.exchange.depth, 1)
    lab.send(copyDone)
    lab.receive(Buffer.concat([complete('COPY 0'), ready()]))
    assert.ok(lab.exchange.isIdle)
    assert.equal(lab.exchange.cyclesDone, lab.exchange.cycle)
  })

  it('does not lose count in a pipeline of thousands', () => {
    const lab = bench.lab()
    const cycle = [parse('select 1'), bind(), execute(), sync]
    const answer = [parsed, bound, row, complete('SELECT 1'), ready()]
    for (let batch = 0; batch < 40; batch += 1)
      lab.send(...Array.from({ length: 50 }, () => cycle).flat())
    for (let batch = 0; batch < 40; batch += 1)
      lab.receive(Buffer.concat(Array.from({ length: 50 }, () => answer).flat()))
    assert.ok(lab.exchange.isIdle)
    assert.equal(lab.finished.filter(({ end }) => end.tag === 'SELECT 1').length, 2000)
  })
})

/** Everything that was recorded ends exactly once, at the latest with the session. */
function assertEachOnce(lab: Lab, staged: ReadonlyMap<string, string>): void {
  lab.exchange.abandon({ outcome: 'lost' })
  lab.exchange.abandon({ outcome: 'lost' })
  const ids = lab.finished.map(({ id }) => id)
  assert.deepEqual(ids.toSorted(), [...staged.keys()].toSorted())
}
