import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Run } from '../../src/gate/run.ts'
import type { Grant } from '../../src/policy/index.ts'
import type { Frame } from '../../src/wire/index.ts'
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
import { SEED } from '../helpers/seed.ts'
import { EVERYTHING, type Lab, READER, Workbench, WRITER } from './lab.ts'
import { ModelPostgres } from './model-postgres.ts'

const statementName = fc.constantFrom('', 's', 't')
const portalName = fc.constantFrom('', 'p', 'c')
const simpleText = fc.constantFrom(
  'select 0',
  'select 3',
  'selec nonsense',
  '',
  'begin',
  'commit',
  'rollback',
  'savepoint a',
  'rollback to a',
  'copy t to stdout',
  'declare c cursor for select 2',
  'declare p cursor for select 2',
  'fetch c',
  'fetch p',
  'close c',
  'close all',
  'prepare s as select 2',
  'prepare t as delete from t',
  'execute s',
  'execute t',
  'deallocate s',
  'deallocate all',
  'discard all',
  'delete from t',
)
const text = fc.oneof(
  { weight: 5, arbitrary: simpleText },
  {
    weight: 1,
    arbitrary: fc.array(simpleText, { minLength: 2, maxLength: 4 }).map(all => all.join('; ')),
  },
)
const maybe = (bytes: Buffer) => fc.constantFrom<readonly Buffer[]>([], [bytes])

/** Copy data, with Syncs where drivers put them, and an end. */
const copyTail = fc
  .tuple(
    maybe(sync),
    fc.array(fc.constantFrom(copyData('1\n'), copyData('2\n'), flush, sync), { maxLength: 4 }),
    fc.constantFrom(copyDone, copyFail('no')),
  )
  .map(([early, data, end]) => [...early, ...data, end])

/** What a client does in one go, as the messages it sends. */
const act: fc.Arbitrary<readonly Buffer[]> = fc.oneof(
  { weight: 4, arbitrary: text.map(sql => [query(sql)]) },
  { weight: 3, arbitrary: fc.tuple(text, statementName).map(([sql, name]) => [parse(sql, name)]) },
  {
    weight: 3,
    arbitrary: fc.tuple(portalName, statementName).map(([p, s]) => [bind([], p, s)]),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(portalName, fc.constantFrom(0, 0, 1, 2))
      .map(([p, rows]) => [execute(p, rows)]),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(text, statementName, portalName, fc.constantFrom(0, 0, 1), maybe(sync))
      .map(([sql, s, p, rows, end]) => [
        parse(sql, s),
        bind([], p, s),
        describe_('P', p),
        execute(p, rows),
        ...end,
      ]),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom<'S' | 'P'>('S', 'P')
      .chain(kind =>
        (kind === 'S' ? statementName : portalName).chain(name =>
          fc.constantFrom([describe_(kind, name)], [close(kind, name)]),
        ),
      ),
  },
  { weight: 5, arbitrary: fc.constant([sync]) },
  { weight: 1, arbitrary: fc.constantFrom([flush], [copyData('late')], [copyDone]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('c', 'p'), fc.constantFrom(0, 1, 2))
      .map(([name, rows]) => [
        query(`begin; declare ${name} cursor for select 2`),
        execute(name, rows),
        execute(name, rows),
        sync,
      ]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom('copy t from stdin', 'select 1; copy t from stdin; select 2'),
        copyTail,
      )
      .map(([sql, tail]) => [query(sql), ...tail]),
  },
  {
    weight: 1,
    arbitrary: copyTail.map(tail => [
      // Names of its own: nobody else may begin a copy that has no end.
      close('S', 'k'),
      parse('copy t from stdin', 'k'),
      bind([], 'k', 'k'),
      execute('k'),
      ...tail,
      sync,
    ]),
  },
)

const session = fc.record({
  acts: fc.array(act, { minLength: 1, maxLength: 25 }),
  /** Says who goes on, how far, and what fails. */
  tape: fc.array(fc.nat(99), { minLength: 30, maxLength: 300 }),
  grant: fc.constantFrom(EVERYTHING, EVERYTHING, WRITER, READER),
})

type Play = {
  readonly lab: Lab
  /** What was staged, by id. */
  readonly staged: ReadonlyMap<string, string>
  readonly answered: number
  readonly isOver: boolean
}

/** Plays a session in which client, network and server go on in any order. */
async function play(
  bench: Workbench,
  acts: readonly (readonly Buffer[])[],
  tape: readonly number[],
  grant: Grant,
): Promise<Play> {
  const lab = bench.lab(grant)
  const staged = lab.watch()
  let at = 0
  const next = () => tape[at++ % tape.length] ?? 0
  const server = new ModelPostgres(percent => next() < percent)
  const toSend = [...acts.flat(), sync]
  let onItsWay: Buffer = Buffer.alloc(0)
  let answered = 0
  const owner = (run: Run | null, frame: Frame) => {
    assert.ok(run !== null, 'a row nobody asked for')
    const source = frame.buf.toString('utf8', frame.start + 5, frame.end)
    if (frame.part === 'whole')
      assert.ok(staged.get(run.id)?.includes(source), `${source} ran as ${staged.get(run.id)}`)
    run.rows += 1
  }
  const receive = (bytes: number) => {
    const part = onItsWay.subarray(0, bytes)
    onItsWay = onItsWay.subarray(part.length)
    answered += lab.receive(part, owner).length
  }
  const serve = (messages: number) => {
    for (let left = messages; left > 0; left -= 1) {
      const said = server.step()
      if (said === null) return
      onItsWay = Buffer.concat([onItsWay, said])
    }
  }
  for (;;) {
    const who = next() % 3
    if (who === 0 && toSend.length > 0) {
      const part = toSend.splice(0, 1 + (next() % 6))
      server.push(
        await lab.sendSlowly(part, forwarded => {
          server.push(forwarded)
          serve(next() % 8)
          receive(1 + next() * 2)
        }),
      )
    } else if (who === 1) serve(1)
    else receive(1 + next() * 2)
    if (toSend.length > 0) continue
    serve(Number.POSITIVE_INFINITY)
    receive(onItsWay.length)
    return { lab, staged, answered, isOver: server.isOver }
  }
}

describe('gate/exchange against a model of PostgreSQL', function () {
  this.timeout(60_000)
  let bench: Workbench

  before(async () => {
    bench = await Workbench.open()
  })

  after(() => bench.close())

  it('is never out of turn, ends idle, and finishes each run exactly once', async () => {
    await fc.assert(
      fc.asyncProperty(session, async ({ acts, tape, grant }) => {
        const { lab, staged, isOver } = await play(bench, acts, tape, grant)
        if (!isOver) {
          assert.ok(lab.exchange.isIdle, 'something is unanswered')
          assert.equal(lab.exchange.cyclesDone, lab.exchange.cycle)
          if (lab.exchange.status === 'I') assert.equal(lab.finished.length, staged.size)
        }
        lab.exchange.abandon({ outcome: 'lost' })
        const ids = lab.finished.map(({ id }) => id)
        assert.deepEqual(ids.toSorted(), [...staged.keys()].toSorted())
      }),
      { seed: SEED, numRuns: 1500 },
    )
  })
})
