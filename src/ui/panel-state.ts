import { visible } from '../terminal.ts'

/** What the panel of an open tunnel shows. Foreign text in it has been made inert. Units: epoch ms. */
export type PanelState = {
  readonly target: string
  readonly isProduction: boolean
  readonly openedAt: number
  readonly now: number
  readonly clients: readonly PanelClient[]
  readonly link:
    | { readonly is: 'up' }
    | { readonly is: 'reconnecting'; readonly attempt: number; readonly nextAt: number }
  readonly signIn: { readonly is: 'good'; readonly until: number } | { readonly is: 'ended' }
  /** What happened last, oldest first. */
  readonly lines: readonly PanelLine[]
  readonly isHelpShown: boolean
  /** A word about the last key; gone after a moment. */
  readonly note: { readonly text: string; readonly until: number } | undefined
  /** Until when a second `q` closes in spite of connected clients. */
  readonly quitArmedUntil: number
}

export type PanelClient = { readonly id: number; readonly application: string }
export type PanelLine = {
  readonly at: number
  readonly tone: 'plain' | 'bad' | 'waiting'
  readonly text: string
}

/** What the panel is told. The first six are what happens to a tunnel. */
export type PanelEvent =
  | {
      readonly type: 'client-opened' | 'client-closed' | 'client-lost'
      readonly client: PanelClient
    }
  | { readonly type: 'refused'; readonly error: { readonly message: string } }
  | { readonly type: 'reconnecting'; readonly attempt: number; readonly nextMs: number }
  | { readonly type: 'connected' }
  | { readonly type: 'sign-in-renewed'; readonly expiresAt: number }
  | { readonly type: 'sign-in-ended' }
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'tick' }

/** What a key asks of whoever shows the panel. */
export type PanelEffect = 'none' | 'copy-url' | 'quit'

const SHOWN_LINES = 5
const NOTE_MS = 3_000
const QUIT_ARMED_MS = 2_000
/** Ticks come every second; a gap this long means the laptop slept. */
const SLEEP_GAP_MS = 60_000

/** The panel at the moment the tunnel is ready. */
export function initialPanel(
  opened: Pick<PanelState, 'target' | 'isProduction'> & { readonly until: number },
  now: number,
): PanelState {
  return {
    target: visible(opened.target),
    isProduction: opened.isProduction,
    openedAt: now,
    now,
    clients: [],
    link: { is: 'up' },
    signIn: { is: 'good', until: opened.until },
    lines: [],
    isHelpShown: false,
    note: undefined,
    quitArmedUntil: 0,
  }
}

/** The panel after an event that happened at `now`. Pure. */
export function reducePanel(before: PanelState, event: PanelEvent, now: number): PanelState {
  const state = { ...withSleepNoted(before, now), now }
  switch (event.type) {
    case 'client-opened':
      return { ...state, clients: [...state.clients, safeClient(event.client)] }
    case 'client-closed':
      return { ...state, clients: state.clients.filter(({ id }) => id !== event.client.id) }
    case 'client-lost': {
      const left = { ...state, clients: state.clients.filter(({ id }) => id !== event.client.id) }
      return withLine(left, 'bad', `${nameOf(safeClient(event.client))} lost its connection`)
    }
    case 'refused':
      return withLine(state, 'bad', visible(event.error.message))
    case 'reconnecting': {
      const { attempt, nextMs } = event
      return { ...state, link: { is: 'reconnecting', attempt, nextAt: now + nextMs } }
    }
    case 'connected':
      return withLine({ ...state, link: { is: 'up' } }, 'plain', 'connected again')
    case 'sign-in-renewed':
      return { ...state, signIn: { is: 'good', until: event.expiresAt } }
    case 'sign-in-ended':
      return { ...state, signIn: { is: 'ended' } }
    case 'note':
      return { ...state, note: { text: event.text, until: now + NOTE_MS } }
    case 'tick':
      return state.note !== undefined && state.note.until <= now
        ? { ...state, note: undefined }
        : state
  }
}

/** The panel after a key, and what the key asks for. Pure. */
export function pressKey(
  before: PanelState,
  key: string,
  now: number,
): { readonly state: PanelState; readonly effect: PanelEffect } {
  const state = { ...before, now }
  switch (key) {
    case 'c':
      return { state, effect: 'copy-url' }
    case '?':
      return { state: { ...state, isHelpShown: !state.isHelpShown }, effect: 'none' }
    case 'q':
    case '^C': {
      const count = state.clients.length
      if (count === 0 || now < state.quitArmedUntil) return { state, effect: 'quit' }
      const who = count === 1 ? '1 client is' : `${count} clients are`
      const until = now + QUIT_ARMED_MS
      const text = `${who} connected. ${key} again to close`
      return { state: { ...state, quitArmedUntil: until, note: { text, until } }, effect: 'none' }
    }
    default:
      return { state, effect: 'none' }
  }
}

/** The clients as one phrase: `3 clients (psql 2, DBeaver)`. */
export function describeClients(clients: readonly PanelClient[]): string {
  if (clients.length === 0) return 'no clients'
  const counts = new Map<string, number>()
  for (const client of clients) counts.set(nameOf(client), (counts.get(nameOf(client)) ?? 0) + 1)
  const names = [...counts].map(([name, count]) => (count === 1 ? name : `${name} ${count}`))
  return `${clients.length} client${clients.length === 1 ? '' : 's'} (${names.join(', ')})`
}

function nameOf(client: PanelClient): string {
  return client.application === '' ? 'unnamed' : client.application
}

const MAX_NAME = 24

function safeClient(client: PanelClient): PanelClient {
  return { id: client.id, application: visible(client.application).slice(0, MAX_NAME) }
}

function withLine(state: PanelState, tone: PanelLine['tone'], text: string): PanelState {
  const last = state.lines.at(-1)
  const line = { at: state.now, tone, text }
  // The same thing again and again is one line, with its latest time.
  const kept = last !== undefined && last.text === text ? state.lines.slice(0, -1) : state.lines
  return { ...state, lines: [...kept, line].slice(-SHOWN_LINES) }
}

function withSleepNoted(state: PanelState, now: number): PanelState {
  const gapMs = now - state.now
  if (gapMs < SLEEP_GAP_MS) return state
  const minutes = Math.round(gapMs / 60_000)
  return withLine({ ...state, now }, 'plain', `back after ${minutes} min asleep`)
}
