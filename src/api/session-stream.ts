import type { RecordingEvent } from '../record/index.ts'
import type { AuditRow, SessionRow } from '../store/index.ts'

/** An answer that is sent as it comes: JSON values, one a line; undefined is an empty line, a sign of life. */
export class AnswerStream {
  readonly values: AsyncIterable<unknown>

  constructor(values: AsyncIterable<unknown>) {
    this.values = values
  }
}

const SIGN_OF_LIFE_MS = 10_000

/** What the audit log alone can tell of a session: its statements, nothing that came back. */
export async function* fromIndex(
  session: Omit<SessionRow, 'v'>,
  statements: readonly AuditRow[],
): AsyncGenerator<RecordingEvent> {
  const startedAt = Date.parse(session.started_at)
  const since = (time: string): number => Math.max(0, Date.parse(time) - startedAt)
  yield {
    t: 0,
    e: 'start',
    v: 1,
    session: session.id,
    at: session.started_at,
    principal: { issuer: '', subject: '', user: session.user, name: '', groups: [] },
    agent: session.via,
    target: session.target,
    role: session.role,
    database: session.database ?? '',
    client: session.ip ?? '',
    application: session.client ?? '',
    results: { rows: 0, bytes: 0 },
    parameters: 'none',
  }
  for (const row of statements) {
    const { id, rule, outcome } = row
    const t = since(row.t)
    const verdict = row.verdict === 'deny' || row.verdict === 'hold' ? row.verdict : 'allow'
    const refused = verdict === 'deny' ? { refused: true as const } : {}
    const what = { kinds: [row.kind], class: row.class, verdict, rule, ...refused } as const
    yield { t, e: 'statement', id, protocol: 'simple', text: row.sql, ...what }
    if (outcome === null) continue
    yield {
      ...{ t: t + Math.round(row.ms ?? 0), e: 'complete', id, outcome: outcomeOf(outcome) },
      ...{ rows: row.rows ?? 0, bytes: row.bytes ?? 0, durationUs: (row.ms ?? 0) * 1000 },
      ...(row.sqlstate === null ? {} : { sqlstate: row.sqlstate }),
    }
  }
  if (session.ended_at === null) return
  yield { t: since(session.ended_at), e: 'end', reason: session.reason ?? 'ended' }
}

const OUTCOMES = ['ok', 'error', 'skipped', 'cancelled', 'lost', 'not-run'] as const

function outcomeOf(outcome: string): (typeof OUTCOMES)[number] {
  return OUTCOMES.find(each => each === outcome) ?? 'lost'
}

/** The values, and while there are none an `undefined` every now and then: nobody has to guess who is there. */
export async function* withSignsOfLife<T>(values: AsyncIterable<T>): AsyncGenerator<T | undefined> {
  const iterator = values[Symbol.asyncIterator]()
  let next = iterator.next()
  try {
    for (;;) {
      const { promise: silence, resolve } = Promise.withResolvers<undefined>()
      const timer = setTimeout(() => resolve(undefined), SIGN_OF_LIFE_MS)
      const got = await Promise.race([next, silence]).finally(() => clearTimeout(timer))
      if (got === undefined) yield undefined
      else if (got.done === true) return
      else {
        yield got.value
        next = iterator.next()
      }
    }
  } finally {
    // Not awaited: a generator that waits for more hears of it only once it has been woken by its signal.
    void iterator.return?.()
  }
}
