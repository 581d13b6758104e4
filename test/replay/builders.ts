import type { RecordedHappening, RecordingEvent, StatementEvent } from '../../src/record/index.ts'
import { type ExportOptions, Story } from '../../src/replay/index.ts'
import { Terminal } from '../../src/terminal.ts'

export const { marks } = new Terminal({
  stdout: process.stdout,
  stderr: process.stderr,
  env: { LC_ALL: 'C.UTF-8' },
})

/** What a terminal obeys or a reader is deceived by, apart from line ends. */
export const DANGEROUS =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/u

/** Text that tries all of it: clipboard, links, hidden text, C1, bidi, zero width, NUL, HTML, psql. */
export const HOSTILE =
  "select '\u001b]52;c;aGk=\u0007\u001b]8;;http://evil\u001b\\\u001b[8m\u009b2J\u202e\u2066\u200b\u0000\r\n</script><script>alert(1)</script><!--\\! touch /tmp/owned"

export const START: RecordingEvent = {
  t: 0,
  e: 'start',
  v: 1,
  session: 's-8k2m4qxz',
  at: '2026-03-01T13:50:00.000Z',
  principal: { issuer: 'i', subject: 'ana', user: 'ana@acme.dev', name: 'Ana', groups: [] },
  agent: 'claude',
  target: 'prod',
  role: 'writer',
  database: 'app',
  client: '10.0.0.7:51000',
  application: 'psql',
  results: { rows: 100, bytes: 65_536 },
  parameters: 'full',
}

/** An event at a time. */
export function at(t: number, happening: RecordedHappening): RecordingEvent {
  return { t, ...happening }
}

export function statement(
  t: number,
  n: number,
  text: string,
  more: Partial<StatementEvent> = {},
): RecordingEvent {
  return at(t, {
    e: 'statement',
    id: `s-8k2m4qxz.${n}`,
    protocol: 'simple',
    text,
    kinds: [text.trim().split(/\W/)[0]?.toUpperCase() ?? ''],
    class: /^\s*select/i.test(text) ? 'read' : 'write',
    verdict: 'allow',
    rule: 'role writer',
    ...more,
  })
}

export function complete(
  t: number,
  n: number,
  tag: string,
  more: Partial<Extract<RecordedHappening, { readonly e: 'complete' }>> = {},
): RecordingEvent {
  const rows = Number(/\d+$/.exec(tag)?.[0] ?? 0)
  return at(t, {
    ...{ e: 'complete', id: `s-8k2m4qxz.${n}`, outcome: 'ok', rows, bytes: 100 },
    ...{ durationUs: 8_000, tag, ...more },
  })
}

/** The session of the manual: a masked read, a statement that was held, one that was denied, one that failed. */
export const EVENTS: readonly RecordingEvent[] = [
  START,
  statement(1_000, 1, "SELECT id, email\nFROM users WHERE plan = 'trial'"),
  at(1_004, {
    e: 'columns',
    id: 's-8k2m4qxz.1',
    columns: [
      { name: 'id', type: 23 },
      { name: 'email', type: 25 },
    ],
  }),
  at(1_004, {
    e: 'rows',
    id: 's-8k2m4qxz.1',
    rows: [
      ['1', 'a***@acme.dev'],
      ['2', null],
    ],
  }),
  complete(1_008, 1, 'SELECT 2', { masked: ['users.email'] }),
  at(31_000, {
    e: 'held',
    request: 'h-7f3k',
    rule: 'prod-writes',
    text: "DELETE FROM orders WHERE status = 'stale'",
    waitMs: 120_000,
  }),
  at(141_000, {
    e: 'decided',
    request: 'h-7f3k',
    outcome: 'run',
    state: 'approved',
    by: 'ben@acme.dev',
    comment: 'ok, checked',
  }),
  statement(141_001, 2, "DELETE FROM orders WHERE status = 'stale'", { request: 'h-7f3k' }),
  complete(141_400, 2, 'DELETE 836', { durationUs: 400_000 }),
  statement(150_000, 3, 'DROP TABLE orders', {
    class: 'ddl',
    verdict: 'deny',
    rule: 'no-drop',
    refused: true,
  }),
  at(150_000, {
    e: 'error',
    id: 's-8k2m4qxz.3',
    severity: 'ERROR',
    sqlstate: '42501',
    message: 'dbgate: denied',
    gate: 'DENIED',
  }),
  statement(160_000, 4, 'SELECT nothing', { parameters: ['x', null] }),
  at(160_002, {
    e: 'error',
    id: 's-8k2m4qxz.4',
    severity: 'ERROR',
    sqlstate: '42703',
    message: 'column "nothing" does not exist',
  }),
  complete(160_003, 4, '', { outcome: 'error', sqlstate: '42703' }),
  at(170_000, { e: 'end', reason: 'client left' }),
]

export function storyOf(events: readonly RecordingEvent[]): Story {
  const [start, ...rest] = events
  if (start?.e !== 'start') throw new Error('a recording begins with its start')
  const story = new Story(start)
  for (const event of [start, ...rest]) story.add(event)
  return story
}

export function options(more: Partial<ExportOptions> = {}): ExportOptions {
  return {
    only: [],
    hasResults: true,
    marks,
    from: 0,
    idleLimitMs: 2_000,
    sha256: 'ab'.repeat(32),
    ...more,
  }
}

/** A session in which every text is hostile. */
export function hostileEvents(text = HOSTILE): readonly RecordingEvent[] {
  const id = 's-8k2m4qxz.1'
  return [
    { ...START, application: text, agent: text, database: text } as RecordingEvent,
    at(1, { e: 'held', request: 'h-7f3k', rule: text, text, waitMs: 1_000 }),
    at(2, {
      e: 'decided',
      request: 'h-7f3k',
      outcome: 'run',
      state: text,
      by: text,
      comment: text,
    }),
    statement(3, 1, text, { parameters: [text], rule: text, request: 'h-7f3k', kinds: [text] }),
    at(4, { e: 'columns', id, columns: [{ name: text, type: 25 }] }),
    at(5, { e: 'rows', id, rows: [[text], [null]] }),
    at(6, {
      e: 'notice',
      id,
      severity: 'NOTICE',
      sqlstate: '00000',
      message: text,
      detail: text,
      hint: text,
    }),
    at(7, { e: 'notification', channel: text, payload: text, pid: 1 }),
    complete(8, 1, text, { masked: [text] }),
    statement(9, 2, text),
    at(10, { e: 'error', id: 's-8k2m4qxz.2', severity: text, sqlstate: text, message: text }),
    complete(11, 2, text, { outcome: 'error' }),
    at(12, { e: 'end', reason: text }),
  ]
}
