import assert from 'node:assert/strict'
import pg from 'pg'
import type { PolicyDocument } from '../../src/config/index.ts'
import {
  type AuditRecord,
  findRecording,
  type RecordedCell,
  type RecordingEvent,
  readRecording,
  readRecords,
  verifyLog,
} from '../../src/record/index.ts'
import { type BareGate, startBareGate } from '../helpers/bare-gate.ts'
import { type Database, freshDatabase, postgres18 } from '../helpers/postgres.ts'
import {
  bind,
  close,
  copyData,
  copyDone,
  copyFail,
  describe_,
  execute,
  fieldsOf,
  parse,
  query,
  RawClient,
  type RawFrame,
  sync,
  terminate,
} from '../helpers/raw.ts'
import { until } from '../helpers/run.ts'

const ALL = { rows: 10_000, bytes: 64 * 1024 ** 2 }
const ROUNDS = Number(process.env.DBGATE_RECORDING_ROUNDS ?? 12)

describe('recordings', function () {
  this.timeout(120_000)
  let database: Database
  let gate: BareGate

  before(async () => {
    database = await freshDatabase(await postgres18(), 'recordings')
    await database.query(
      'create table items (id int primary key, label text, at date, body bytea);' +
        "insert into items select i, 'löbel ' || i, '2026-01-01'::date + i, '\\x00ff' from generate_series(1, 200) i",
    )
    gate = await startBareGate(database, { results: ALL })
  })

  after(async () => {
    await gate.close()
    await database.drop()
  })

  it(`retells ${ROUNDS} random sessions as the client received them`, async () => {
    for (let seed = 1; seed <= ROUNDS; seed++) {
      const { told, received } = await randomSession(seed)
      assert.deepEqual(told, received, `seed ${seed}`)
    }
    assert.equal((await verifyLog(gate.auditDirectory)).isWhole, true)
  })

  it('retells what pg sends and receives, and has each statement as the audit log has it', async () => {
    const client = new pg.Client({ connectionString: gate.url })
    await client.connect()
    const { rows } = await client.query<{ id: number; label: string }>(
      'select id, label from items where id <= $1 order by id',
      [3],
    )
    await client.query({ name: 'one', text: 'select label from items where id = $1', values: [7] })
    await client.query({ name: 'one', text: 'select label from items where id = $1', values: [8] })
    await assert.rejects(client.query('select 1/0'), { code: '22012' })
    await client.query("do $$ begin raise warning 'careful'; end $$")
    await client.end()
    const events = await recordedOf(await lastSession())
    const shown = events.filter(each => each.e === 'rows').flatMap(each => each.rows)
    const asText = rows.map(({ id, label }) => [String(id), label])
    assert.deepEqual(shown, [...asText, ['löbel 7'], ['löbel 8']])
    const columns = events.filter(each => each.e === 'columns').map(each => each.columns[0]?.name)
    assert.deepEqual(columns, ['id', 'label', 'label'])
    assert.ok(events.some(each => each.e === 'notice' && each.message === 'careful'))
    assert.deepEqual(statementsOf(events), await auditedOf(events))
    assert.equal(events.at(-1)?.e, 'end')
  })

  it('can be followed while the session runs, to its end', async () => {
    const client = await RawClient.open(gate.port, { user: 'ana', database: database.name })
    const seen: RecordingEvent[] = []
    const session = await lastSession('session.start')
    const found = findRecording(gate.recordingsDirectory, session)
    assert.equal(found?.isOpen, true)
    const following = (async () => {
      for await (const event of readRecording(found?.path ?? '', { follow: true, pollMs: 20 })) {
        seen.push(event)
      }
    })()
    client.send(query('select 1'))
    await client.until(({ tag }) => tag === 'Z')
    await until('it is told', () => seen.some(({ e }) => e === 'complete') || undefined)
    client.send(terminate)
    await client.hangUp()
    await following
    assert.equal(seen.at(-1)?.e, 'end')
    const closed = await until('it is in its place', () => {
      const now = findRecording(gate.recordingsDirectory, session)
      return now?.isOpen === false ? now : undefined
    })
    assert.match(closed.path, /\/\d{4}-\d{2}-\d{2}\/s-\w+\.dbgr$/)
  })

  it('says what it leaves out, and counts it', async () => {
    const small = await startBareGate(database, { results: { rows: 5, bytes: 2000 } })
    const client = await RawClient.open(small.port, { user: 'ana', database: database.name })
    client.send(query("select id from items order by id; select repeat('x', 3000)"))
    await client.until(({ tag }) => tag === 'Z')
    client.send(query("copy (select repeat('y', 100) from generate_series(1, 30)) to stdout"))
    await client.until(({ tag }) => tag === 'Z')
    client.send(terminate)
    await client.hangUp()
    const session = await lastSession('session.end', small)
    const events = await recordedOf(session, small)
    await small.close()
    const cuts = events.filter(each => each.e === 'cut').map(({ id, why }) => [id, why])
    assert.deepEqual(cuts, [
      [`${session}.1`, 'rows'],
      [`${session}.2`, 'bytes'],
      [`${session}.3`, 'rows'],
    ])
    const rows = events.filter(each => each.e === 'rows').flatMap(each => each.rows)
    assert.deepEqual(rows, [['1'], ['2'], ['3'], ['4'], ['5']])
    const counted = events.filter(each => each.e === 'complete').map(each => each.rows)
    assert.deepEqual(counted, [200, 1, 30])
  })

  it('tells what was masked as it was shown, and what was refused and held with its error', async () => {
    const rules: PolicyDocument['rules'] = [
      {
        name: 'updates',
        on: ['*'],
        when: { kind: ['UPDATE'] },
        or: [],
        unless: [],
        effect: {
          does: 'approve',
          approve: { by: ['dba'], need: 1, expiresMs: 900_000, presence: undefined },
          holdMs: 50,
          notify: [],
          inTransaction: 'wait',
        },
        say: undefined,
        next: undefined,
        at: 'policy.yaml:1',
      },
    ]
    const mask = { on: ['*'], roles: undefined, via: undefined, reveal: [], labels: [], values: [] }
    const unset = { filters: undefined, writes: undefined, derived: undefined }
    const columns = ['items.label']
    const masks = [
      { ...mask, ...unset, columns, mask: { kind: 'redact' as const }, at: 'policy.yaml:2' },
    ]
    const strict = await startBareGate(database, {
      results: ALL,
      may: ['read', 'write'],
      policy: { rules, masks },
    })
    const client = new pg.Client({ connectionString: strict.url })
    await client.connect()
    const { rows } = await client.query('select label from items where id = $1', [1])
    await client.query('select id, label from items where id = 2')
    await assert.rejects(client.query('drop table items'), { code: '42501' })
    await assert.rejects(client.query('update items set at = at where id = $1', [3]))
    await client.end()
    const session = await lastSession('session.end', strict)
    const events = await recordedOf(session, strict)
    await strict.close()
    const shown = events.filter(each => each.e === 'rows').flatMap(each => each.rows)
    assert.deepEqual(shown, [[rows[0].label], ['2', rows[0].label]])
    assert.doesNotMatch(JSON.stringify(events), /löbel/)
    const done = events.filter(each => each.e === 'complete')
    assert.ok(done.every(({ masked }) => masked?.join().endsWith('items.label')))
    const refused = events.filter(each => each.e === 'statement').filter(each => each.refused)
    assert.deepEqual(
      refused.map(({ text, verdict }) => [text, verdict]),
      [
        ['drop table items', 'deny'],
        ['update items set at = at where id = $1', 'hold'],
      ],
    )
    const errors = events.filter(each => each.e === 'error').map(({ id, gate: ours }) => [id, ours])
    assert.deepEqual(errors, [
      [refused[0]?.id, 'DENIED'],
      [refused[1]?.id, 'HELD'],
    ])
    const held = events.find(each => each.e === 'held')
    const decided = events.find(each => each.e === 'decided')
    assert.deepEqual([held?.rule, held?.waitMs, held?.text], ['updates', 50, ''])
    assert.deepEqual(
      [decided?.request, decided?.outcome, decided?.state],
      [held?.request, 'refused', 'waited'],
    )
  })

  /** One session of random traffic: what came over the wire, and what the recording says came. */
  async function randomSession(seed: number): Promise<{ told: string[]; received: string[] }> {
    const random = randomOf(seed)
    const client = await RawClient.open(gate.port, { user: 'ana', database: database.name })
    const session = await lastSession('session.start')
    const frames: RawFrame[] = []
    for (let step = 0; step < 25; step++) {
      const scene = SCENES[Math.floor(random() * SCENES.length)]
      const { send, ready, copy } = scene?.(random) ?? { send: [sync], ready: 1 }
      client.send(...send)
      if (copy !== undefined) {
        frames.push(...(await client.until(({ tag }) => tag === 'G' || tag === 'E')))
        if (frames.at(-1)?.tag === 'G') client.send(...copy)
      }
      for (let left = ready; left > 0; left--) {
        frames.push(...(await client.until(({ tag }) => tag === 'Z')))
      }
    }
    client.send(terminate)
    await client.hangUp()
    const events = await until('the recording is finished', async () => {
      const all = await recordedOf(session)
      return all.at(-1)?.e === 'end' ? all : undefined
    })
    assert.deepEqual(statementsOf(events), await auditedOf(events))
    return { told: toldOf(events), received: receivedOf(frames) }
  }

  async function lastSession(
    type: 'session.start' | 'session.end' = 'session.end',
    at = gate,
  ): Promise<string> {
    return until('the session is on record', async () => {
      const started: string[] = []
      const ended = new Set<string>()
      for await (const { record } of readRecords(at.auditDirectory)) {
        if (record.type === 'session.start') started.push(record.session)
        if (record.type === 'session.end') ended.add(record.session)
      }
      const last = started.at(-1)
      return last === undefined || (type === 'session.end' && !ended.has(last)) ? undefined : last
    })
  }

  async function recordedOf(session: string, at = gate): Promise<RecordingEvent[]> {
    const found = findRecording(at.recordingsDirectory, session)
    assert.ok(found !== undefined, `${session} has no recording`)
    const events: RecordingEvent[] = []
    for await (const event of readRecording(found.path)) events.push(event)
    return events
  }

  async function auditedOf(events: readonly RecordingEvent[]): Promise<unknown[]> {
    const start = events[0]
    const session = start?.e === 'start' ? start.session : ''
    const found: unknown[] = []
    for await (const { record } of readRecords(gate.auditDirectory)) {
      if (isOf(record, session)) found.push([record.id, record.text, record.parameters])
    }
    return found
  }
})

function isOf(record: AuditRecord, session: string): record is AuditRecord & { type: 'statement' } {
  return record.type === 'statement' && record.session === session
}

function statementsOf(events: readonly RecordingEvent[]): unknown[] {
  return events
    .filter(each => each.e === 'statement')
    .map(({ id, text, parameters }) => [id, text, parameters])
}

type Scene = { send: Buffer[]; ready: number; copy?: Buffer[] }

/** What a driver may do, and how many ReadyForQuery it brings. */
const SCENES: readonly ((random: () => number) => Scene)[] = [
  random => ({ send: [query(`select * from items where id < ${n(random, 90)}`)], ready: 1 }),
  () => ({
    send: [query("select 1, null, ''; select 'zwei' as b; update items set at = at")],
    ready: 1,
  }),
  () => ({ send: [query('')], ready: 1 }),
  () => ({ send: [query('select 1; select 1/0; select 3')], ready: 1 }),
  () => ({ send: [query('selec 1')], ready: 1 }),
  () => ({
    send: [query("begin; select 1; do $$ begin raise notice 'hm'; end $$; rollback")],
    ready: 1,
  }),
  random => ({ send: [query(`listen c; notify c, 'p${n(random, 9)}'`)], ready: 1 }),
  random => ({
    send: [...bound('select $1::int + 1, $2::text', [String(n(random, 99)), 'ä']), sync],
    ready: 1,
  }),
  random => ({
    send: [...bound('select 10 / $1::int', [String(n(random, 3) - 1)]), sync],
    ready: 1,
  }),
  // A pipeline in which one fails and the rest is skipped, and the next cycle behind it.
  () => ({
    send: [
      ...bound('select 1', []),
      ...bound('select 1/$1::int', ['0']),
      ...bound('select 2', []),
      sync,
      ...bound('select 3', []),
      sync,
    ],
    ready: 2,
  }),
  // Part of a portal's rows, then the rest of them.
  () => ({
    send: [
      parse('select id, label from items order by id limit 20', 'p', []),
      bind([], 'p', 'p'),
      describe_('P', 'p'),
      execute('p', 7),
      execute('p', 0),
      close('S', 'p'),
      sync,
    ],
    ready: 1,
  }),
  // Described as a statement, executed twice.
  () => ({
    send: [
      parse('select id from items where id < $1', 's', []),
      describe_('S', 's'),
      bind(['3'], '', 's'),
      execute(),
      bind(['5'], '', 's'),
      execute(),
      close('S', 's'),
      sync,
    ],
    ready: 1,
  }),
  () => ({
    send: [
      query('begin; declare c cursor for select id from items order by id; fetch 5 from c; commit'),
    ],
    ready: 1,
  }),
  random => ({
    send: [query(`copy (select id, label from items limit ${n(random, 50)}) to stdout`)],
    ready: 1,
  }),
  () => ({
    send: [query('create temp table if not exists t (a int); copy t from stdin')],
    copy: [copyData('1\n2\n'), copyData('3\n'), copyDone],
    ready: 1,
  }),
  () => ({
    send: [query('create temp table if not exists t (a int); copy t from stdin')],
    copy: [copyData('1\n'), copyFail('no more')],
    ready: 1,
  }),
  () => ({
    send: [
      query('set statement_timeout = 20; select 1; select pg_sleep(5)'),
      query('reset statement_timeout'),
    ],
    ready: 2,
  }),
  () => ({ send: [query("set timezone to 'UTC'; set timezone to 'Europe/Berlin'")], ready: 1 }),
]

function n(random: () => number, below: number): number {
  return 1 + Math.floor(random() * below)
}

function bound(text: string, values: readonly string[]): Buffer[] {
  return [parse(text), bind(values), describe_('P'), execute()]
}

/** Numbers from 0 to 1 that depend on the seed alone (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed * 0x9e3779b9
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** What the client received, a line for each thing. */
function receivedOf(frames: readonly RawFrame[]): string[] {
  const lines: string[] = []
  let status = 'I'
  for (const one of frames) {
    const { tag, body } = one
    if (tag === 'D') lines.push(`row ${JSON.stringify(cellsOf(body))}`)
    else if (tag === 'd') lines.push(...copied(body.toString('utf8')))
    else if (tag === 'C') lines.push(`done ${body.toString('utf8', 0, body.length - 1)}`)
    else if (tag === 'A') {
      const [channel, payload] = body.toString('utf8', 4).split('\0')
      lines.push(`notified ${channel} ${payload}`)
    } else if (tag === 'S') lines.push(`set ${body.toString('utf8').split('\0').join(' ').trim()}`)
    else if (tag === 'E' || tag === 'N') {
      const { C, M } = fieldsOf(one)
      lines.push(`${tag === 'E' ? 'error' : 'notice'} ${C} ${M}`)
    } else if (tag === 'Z' && body.toString() !== status) {
      status = body.toString()
      lines.push(`transaction ${status}`)
    }
  }
  return lines
}

/** What the recording says that the client received, in the same lines. */
function toldOf(events: readonly RecordingEvent[]): string[] {
  return events.flatMap(event => {
    switch (event.e) {
      case 'rows':
        return event.rows.map(row => `row ${JSON.stringify(row)}`)
      case 'copy':
        return event.direction === 'out' ? copied(textOf(event.data)) : []
      case 'complete':
        return event.outcome === 'ok' && event.tag ? [`done ${event.tag}`] : []
      case 'notification':
        return [`notified ${event.channel} ${event.payload}`]
      case 'setting':
        return [`set ${event.name} ${event.value}`]
      case 'error':
      case 'notice':
        return [`${event.e} ${event.sqlstate} ${event.message}`]
      case 'transaction':
        return [`transaction ${event.status}`]
      case 'cut':
        return [`cut ${event.why}`]
      default:
        return []
    }
  })
}

function textOf(data: string | { base64: string }): string {
  return typeof data === 'string' ? data : Buffer.from(data.base64, 'base64').toString('latin1')
}

/** COPY data by its lines, since pieces may be cut anywhere. */
function copied(text: string): string[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => `copy ${line}`)
}

function cellsOf(body: Buffer): RecordedCell[] {
  const cells: RecordedCell[] = []
  let at = 2
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const bytes = body.readInt32BE(at)
    at += 4
    cells.push(bytes < 0 ? null : body.toString('utf8', at, at + Math.max(0, bytes)))
    at += Math.max(0, bytes)
  }
  return cells
}
