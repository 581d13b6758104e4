import type { CutEvent, RecordedMessage, RecordingEvent } from '../record/index.ts'
import type { Marks } from '../terminal.ts'
import { visible } from '../terminal.ts'
import type { Entry } from './story.ts'
import { count, gist, short, took } from './text.ts'

/**
 * One line of a telling, made inert. `at` is set where the line has a time of its own; `aside` stands at the
 * right of it. Units: ms since the start.
 */
export type Line = {
  readonly at: number | undefined
  readonly tone: 'plain' | 'bad' | 'waiting' | 'faint'
  readonly text: string
  readonly aside?: string
}

const MAX_SAID = 500
/** A statement that took less is told in one line with what came of it. */
const TOGETHER_MS = 1_000

/**
 * What an entry comes to in lines, as far as it had happened at `until`. The first is the statement on one
 * line; what is whole of it, `resultsOf` and `sql` have.
 */
export function linesOf(entry: Entry, until: number, marks: Marks): readonly Line[] {
  const shown = entry.events.filter(({ t }) => t <= until)
  const [first] = shown
  if (first === undefined) return []
  const lines: Line[] = []
  const isStatement = entry.kind === 'statement' || entry.kind === 'hold'
  const ended = shown.find(event => event.e === 'complete')
  const isTogether =
    entry.kind === 'statement' && ended !== undefined && ended.t - first.t < TOGETHER_MS
  if (isStatement) {
    const text = entry.sql === '' ? `statement ${visible(entry.id)}` : gist(entry.sql)
    lines.push({
      at: first.t,
      tone: entry.mark === 'denied' ? 'bad' : 'plain',
      text,
      ...(isTogether ? { aside: asideOf(ended) } : {}),
    })
  }
  let hasRows = false
  for (const event of shown) {
    if (event.e === 'rows' && hasRows) continue
    hasRows ||= event.e === 'rows'
    lines.push(...linesOfEvent(event, marks, isTogether, isStatement))
  }
  return lines
}

type Complete = RecordingEvent & { readonly e: 'complete' }

function asideOf({ rows, tag, durationUs, outcome }: Complete): string {
  const what = outcome === 'ok' ? (isQuery(tag) ? count(rows, 'row') : visible(tag ?? 'done')) : ''
  return `${what}  ${took(durationUs / 1000)}`.trim()
}

function isQuery(tag: string | undefined): boolean {
  return tag === undefined || /^(SELECT|FETCH|SHOW|EXPLAIN|VALUES|TABLE)\b/.test(tag)
}

function linesOfEvent(
  event: RecordingEvent,
  marks: Marks,
  isTogether: boolean,
  isStatement: boolean,
): readonly Line[] {
  const own = (text: string, tone: Line['tone'] = 'plain', at?: number): Line => ({
    at: isStatement ? at : event.t,
    tone,
    text,
  })
  switch (event.e) {
    case 'statement':
      return event.refused === true
        ? [own(`${marks.no} denied by ${short(event.rule, MAX_SAID)}, not run`, 'bad')]
        : observedLines(event, own, marks)
    case 'held': {
      const wait = event.waitMs > 0 ? `, waits up to ${took(event.waitMs)}` : ', refused for now'
      const text = `${marks.wait} held as ${visible(event.request)} by ${short(event.rule, MAX_SAID)}${wait}`
      return [own(text, 'waiting')]
    }
    case 'decided': {
      const isRun = event.outcome === 'run'
      const by = event.by === undefined ? '' : ` by ${short(event.by, MAX_SAID)}`
      const said =
        event.comment === undefined ? '' : `: ${JSON.stringify(short(event.comment, MAX_SAID))}`
      const text = `${isRun ? marks.ok : marks.no} ${short(event.state, MAX_SAID)}${by}${said}`
      return [{ at: event.t, tone: isRun ? 'plain' : 'bad', text }]
    }
    case 'complete':
      return completeLines(event, isTogether, marks)
    case 'error':
      return messageLines(event, marks.no, 'bad').map(line => own(line.text, line.tone))
    case 'notice':
      return messageLines(event, marks.note, 'faint').map(line => own(line.text, line.tone))
    case 'copy':
      return [own(`COPY data ${event.direction === 'in' ? 'sent' : 'received'}`, 'faint')]
    case 'cut':
      return [own(`${marks.note} ${cutText(event)}`, 'faint')]
    case 'notification':
      return [own(`notification on ${short(event.channel, 64)}: ${short(event.payload, MAX_SAID)}`)]
    case 'end': {
      const how = event.recovered === true ? ' (the server was killed)' : ''
      return [{ at: event.t, tone: 'faint', text: `ended: ${short(event.reason, MAX_SAID)}${how}` }]
    }
    default:
      return []
  }
}

function observedLines(
  event: RecordingEvent & { readonly e: 'statement' },
  own: (text: string, tone?: Line['tone']) => Line,
  marks: Marks,
): readonly Line[] {
  const { observed } = event
  if (observed === undefined) return []
  const what = observed.outcome === 'hold' ? 'held' : 'denied'
  return [
    own(`${marks.note} only observed: ${short(observed.rule, MAX_SAID)} would have ${what} it`),
  ]
}

function completeLines(event: Complete, isTogether: boolean, marks: Marks): readonly Line[] {
  const masked = (event.masked ?? []).map(name => short(name, 128))
  const lines: Line[] = []
  if (masked.length > 0) {
    lines.push({ at: undefined, tone: 'faint', text: `${marks.live} ${masked.join(', ')} masked` })
  }
  const isFailed = event.outcome !== 'ok' && event.outcome !== 'error'
  if (!isTogether) {
    const what = event.outcome === 'ok' ? visible(event.tag ?? 'done') : event.outcome
    lines.push({ at: event.t, tone: 'plain', text: what, aside: took(event.durationUs / 1000) })
  } else if (isFailed) {
    lines.push({ at: undefined, tone: 'plain', text: `${marks.note} ${event.outcome}` })
  }
  return lines
}

function messageLines(
  said: RecordedMessage,
  mark: string,
  tone: Line['tone'],
): readonly { readonly tone: Line['tone']; readonly text: string }[] {
  const { severity, sqlstate, message, detail, hint } = said
  const head = `${mark} ${short(severity, 32)} ${short(sqlstate, 16)}: ${short(message, MAX_SAID)}`
  const more = [
    ...(detail === undefined ? [] : [`DETAIL: ${short(detail, MAX_SAID)}`]),
    ...(hint === undefined ? [] : [`HINT: ${short(hint, MAX_SAID)}`]),
  ]
  return [
    { tone, text: head },
    ...more.map(text => ({ tone: 'faint' as const, text: `  ${text}` })),
  ]
}

const CUT_REASONS: Readonly<Record<CutEvent['why'], string>> = {
  rows: 'more rows were shown than are recorded',
  bytes: 'more was shown than is recorded',
  private: 'COPY data is not recorded where a mask may cover it',
  memory: 'something is missing here: the disk was too slow',
  disk: 'something is missing here: the disk took nothing',
  retention: 'results were deleted when their time was over',
}

function cutText({ why, what, lost }: CutEvent): string {
  const reason = CUT_REASONS[why] ?? `${what} missing here`
  return lost === undefined ? reason : `${reason} (${count(lost, 'event')})`
}
