import type { RecordingEvent } from '../record/index.ts'
import type { Call } from './requests-client.ts'
import { boolean, instant, type JsonObject, list, maybe, number, object, text } from './shape.ts'

/** Which sessions to list. Units: epoch ms. `isAll`: everybody's, for auditors. */
export type SessionsQuery = {
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly limit?: number | undefined
  readonly user?: string | undefined
  readonly target?: string | undefined
  readonly isAll: boolean
}

/** One session of a list. `endedAt` is undefined while it runs, or if nobody said. */
export type SessionAnswer = {
  readonly id: string
  readonly user: string
  readonly via: string
  readonly target: string
  readonly role: string
  readonly application: string | undefined
  readonly address: string | undefined
  readonly startedAt: number
  readonly endedAt: number | undefined
  readonly reason: string | undefined
  readonly statements: number
  readonly denied: number
  readonly held: number
  readonly rows: number
  readonly isLive: boolean
  /** As the server sent it, for `--json`. */
  readonly raw: JsonObject
}

type Counted = { readonly name: string; readonly count: number }

/** A session with what it came to. `recording` is undefined where none is kept. */
export type SessionDetail = SessionAnswer & {
  readonly tables: readonly Counted[]
  readonly rules: readonly Counted[]
  readonly kinds: readonly Counted[]
  readonly failed: number
  readonly recording:
    | { readonly isOpen: boolean; readonly bytes: number; readonly sha256: string | undefined }
    | undefined
}

/** The calls about sessions. An id is whole or the start of one; to end a session it has to be whole. */
export type SessionsClient = {
  sessions(query: SessionsQuery): Promise<readonly SessionAnswer[]>
  session(id: string): Promise<SessionDetail>
  /** What was recorded, in order; with `follow` until the session ends or `signal` is aborted. */
  recording(
    id: string,
    options: { readonly follow: boolean; readonly signal?: AbortSignal },
  ): AsyncIterable<RecordingEvent>
  endSession(id: string, reason: string | undefined): Promise<SessionAnswer>
}

/** How the client reaches an answer that comes in pieces. */
export type CallStream = (path: string, signal: AbortSignal | undefined) => AsyncIterable<unknown>

/** Makes the calls about sessions out of two that reach any route. */
export function createSessionsClient(call: Call, stream: CallStream): SessionsClient {
  return {
    sessions: async query =>
      list(await call('GET', `sessions?${parametersOf(query)}`), 'sessions', readSession),
    session: async id => readDetail(await call('GET', pathOf(id)), 'session'),
    recording: (id, { follow, signal }) =>
      events(stream(`${pathOf(id)}/recording${follow ? '?follow=1' : ''}`, signal)),
    endSession: async (id, reason) => {
      const body = reason === undefined ? {} : { reason }
      return readSession(await call('POST', `${pathOf(id)}/end`, { body }), 'session')
    },
  }
}

function pathOf(id: string): string {
  return `sessions/${encodeURIComponent(id)}`
}

function parametersOf({ isAll, since, until, ...rest }: SessionsQuery): URLSearchParams {
  const parameters = new URLSearchParams(isAll ? { all: '1' } : {})
  for (const [name, at] of Object.entries({ since, until })) {
    if (at !== undefined) parameters.set(name, new Date(at).toISOString())
  }
  for (const [name, value] of Object.entries(rest)) {
    if (value !== undefined) parameters.set(name, String(value))
  }
  return parameters
}

/** The server's own events: their frame is looked at, as the reader of a file does. Throws: PROTOCOL. */
async function* events(values: AsyncIterable<unknown>): AsyncGenerator<RecordingEvent> {
  for await (const value of values) {
    const event = object(value, 'event')
    number(event.t, 'event.t')
    text(event.e, 'event.e')
    yield value as RecordingEvent
  }
}

function readSession(value: unknown, where: string): SessionAnswer {
  const raw = object(value, where)
  return {
    id: text(raw.id, `${where}.id`),
    user: text(raw.user, `${where}.user`),
    via: text(raw.via, `${where}.via`),
    target: text(raw.target, `${where}.target`),
    role: text(raw.role, `${where}.role`),
    application: maybe(raw.client, `${where}.client`, text),
    address: maybe(raw.ip, `${where}.ip`, text),
    startedAt: instant(raw.started_at, `${where}.started_at`),
    endedAt: maybe(raw.ended_at, `${where}.ended_at`, instant),
    reason: maybe(raw.reason, `${where}.reason`, text),
    statements: number(raw.statements, `${where}.statements`),
    denied: number(raw.denied, `${where}.denied`),
    held: number(raw.held, `${where}.held`),
    rows: number(raw.rows, `${where}.rows`),
    isLive: boolean(raw.is_live, `${where}.is_live`),
    raw,
  }
}

function readDetail(value: unknown, where: string): SessionDetail {
  const root = object(value, where)
  return {
    ...readSession(value, where),
    tables: list(root.tables, `${where}.tables`, readCounted),
    rules: list(root.rules, `${where}.rules`, readCounted),
    kinds: list(root.kinds, `${where}.kinds`, readCounted),
    failed: number(root.failed, `${where}.failed`),
    recording: maybe(root.recording, `${where}.recording`, (item, at) => {
      const recording = object(item, at)
      return {
        isOpen: boolean(recording.is_open, `${at}.is_open`),
        bytes: number(recording.bytes, `${at}.bytes`),
        sha256: maybe(recording.sha256, `${at}.sha256`, text),
      }
    }),
  }
}

function readCounted(value: unknown, where: string): Counted {
  const counted = object(value, where)
  return {
    name: text(counted.name, `${where}.name`),
    count: number(counted.count, `${where}.count`),
  }
}
