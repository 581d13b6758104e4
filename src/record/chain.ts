import { DbgateError } from '../errors.ts'
import type { SegmentHeader } from './format.ts'
import { chainHashInPlace, decodeHeader, FORMAT_VERSION, GENESIS } from './format.ts'
import type { LineReader } from './lines.ts'
import { type Ledger, note, noteHash, startLedger } from './verify-ledger.ts'

/** A record by number, time and hash. */
export type Place = { readonly n: number; readonly t: string; readonly sha256: string }

/**
 * A place where the log is not as it was written. `segment` (0: a file that is not named like one), `line`
 * (from 1) and `offset` say where to look, `n` and `t` which record stands there, as far as there is one.
 */
export type Break = {
  readonly kind:
    | 'changed'
    | 'removed'
    | 'inserted'
    | 'reordered'
    | 'malformed'
    | 'truncated-segment'
    | 'missing-segment'
    /** Records that a checkpoint saw are not there: the end was cut off, or an older copy was put back. */
    | 'cut-off'
    /** Another record stands where a checkpoint saw one: the log was written anew from there on. */
    | 'replaced'
    | 'checkpoint'
    | 'recording-missing'
    | 'recording-changed'
  readonly segment: number
  readonly line: number
  readonly offset: number
  readonly n: number | undefined
  readonly t: string | undefined
  /** What is wrong, as half a sentence. */
  readonly message: string
}

/** A line as it states itself. */
type Line = Place & { readonly line: number; readonly offset: number }

/**
 * How far a log has been followed. The hashes decide whether something is wrong; the records' numbers and
 * one hash to either side only tell what it probably was.
 */
export type ChainState = {
  segment: number
  line: number
  /** What the next line must continue; undefined where that is not known (a segment file by itself). */
  hash: string | undefined
  /** What the last line continued, to see that it was put in between two that belong together. */
  hashBefore: string | undefined
  n: number
  records: number
  byType: Record<string, number>
  first: Place | undefined
  last: Line | undefined
  broken: Break | undefined
  breaks: number
  /** The last line did not follow, and this is what the line before it was; `isFirst`: it made `broken`. */
  suspect: { readonly previous: string; readonly n: number; readonly isFirst: boolean } | undefined
  /** The next line's predecessor cannot be read, which has been reported. */
  isLoose: boolean
  unfinishedBytes: number
  /** What is to be held against checkpoints and recordings. */
  ledger: Ledger
}

/** Starts at the beginning of a log, or (for a segment by itself) anywhere. */
export function startChain(
  at: 'genesis' | 'anywhere',
  checkpointed: readonly number[] = [],
): ChainState {
  return {
    segment: 0,
    line: 0,
    hash: at === 'genesis' ? GENESIS : undefined,
    hashBefore: undefined,
    n: 0,
    records: 0,
    byType: {},
    first: undefined,
    last: undefined,
    broken: undefined,
    breaks: 0,
    suspect: undefined,
    isLoose: false,
    unfinishedBytes: 0,
    ledger: startLedger(checkpointed),
  }
}

/** Goes on to the next segment that is there; `expected` is the one that should be. */
export function startSegment(state: ChainState, segment: number, expected: number): void {
  if (state.unfinishedBytes > 0) {
    const message = `segment ${state.segment} ends in the middle of a record`
    addBreak(state, 'truncated-segment', message, { line: state.line + 1 })
    state.isLoose = true
  }
  if (segment !== expected) {
    const which =
      segment === expected + 1
        ? `segment ${expected} is missing`
        : `segments ${expected} to ${segment - 1} are missing`
    state.segment = expected
    addBreak(state, 'missing-segment', which, { line: 1 })
    state.isLoose = true
  }
  state.segment = segment
  state.line = 0
  state.unfinishedBytes = 0
}

/** Follows one line: the reader's current one. */
export function addLine(state: ChainState, lines: LineReader): void {
  state.line++
  const { offset } = lines
  const sha256 = lines.statedHash()
  const header = sha256 !== undefined && state.line === 1 ? decodeHeader(lines.json()) : undefined
  if (sha256 !== undefined && header !== undefined) {
    addHeader(state, lines, header, sha256)
    return
  }
  const head = sha256 === undefined ? null : HEAD.exec(lines.jsonHead())
  if (state.line === 1) {
    addBreak(state, 'removed', 'the first line of the segment is missing', { offset })
    state.isLoose = true
  }
  if (sha256 === undefined || head === null) {
    if (state.line > 1) addBreak(state, 'malformed', 'the line is not a record', { offset })
    state.isLoose = true
    return
  }
  const line = { n: Number(head[1]), t: head[2] ?? '', sha256, line: state.line, offset }
  addRecord(state, lines, line, head[3] ?? '')
}

/** What every record's JSON starts with: number, time, type. */
const HEAD = /^\{"n":(\d{1,15}),"t":"([^"]{1,40})","type":"([a-z.]{1,40})"/

function addHeader(
  state: ChainState,
  lines: LineReader,
  header: SegmentHeader,
  sha256: string,
): void {
  if (header.v !== FORMAT_VERSION) {
    throw new DbgateError('INTEGRITY', `segment has format version ${header.v}`, {
      detail: `This version of dbgate reads version ${FORMAT_VERSION}.`,
    })
  }
  const { t } = header
  const computed = chainHashInPlace(header.continues, lines.buf, lines.start, lines.end)
  if (computed !== sha256) {
    addBreak(state, 'changed', 'the first line of the segment was changed', { t })
  } else if (state.segment !== 0 && header.segment !== state.segment) {
    const message = `the file holds segment ${header.segment}`
    addBreak(state, 'reordered', message, { t })
  } else if (!state.isLoose && state.hash !== undefined && header.continues !== state.hash) {
    const previous = state.segment - 1
    const message = `segment ${previous} ends at record ${state.n}, but segment ${state.segment} goes on from record ${header.first - 1}`
    state.segment = previous
    addBreak(state, 'truncated-segment', message, { n: state.n })
    state.segment = previous + 1
  }
  state.suspect = undefined
  state.isLoose = false
  state.hashBefore = undefined
  state.hash = sha256
  state.n = header.first - 1
  noteHash(state.ledger, state.n, sha256)
}

function addRecord(state: ChainState, lines: LineReader, line: Line, type: string): void {
  const { n, t, sha256 } = line
  const previous = state.hash
  if (previous === undefined || state.isLoose) {
    state.isLoose = false
    state.suspect = undefined
  } else {
    const follows = chainHashInPlace(previous, lines.buf, lines.start, lines.end) === sha256
    if (follows && n === state.n + 1) state.suspect = undefined
    else judge(state, lines, line)
  }
  state.hashBefore = state.suspect === undefined ? previous : undefined
  state.hash = sha256
  state.n = n
  state.records++
  state.byType[type] = (state.byType[type] ?? 0) + 1
  state.first ??= { n, t, sha256 }
  state.last = line
  const place = { segment: state.segment, line: line.line, offset: line.offset, n, t }
  note(state.ledger, type, place, lines)
  noteHash(state.ledger, n, sha256)
}

/** A line does not follow from the one before it: was it that one, this one, or is something gone? */
function judge(state: ChainState, lines: LineReader, line: Line): void {
  const { suspect, last } = state
  const continues = (hash: string) =>
    chainHashInPlace(hash, lines.buf, lines.start, lines.end) === line.sha256
  if (suspect !== undefined && continues(suspect.previous)) {
    // This line belongs to the one before the suspect, so the suspect stood in between.
    if (suspect.isFirst && state.broken !== undefined && last !== undefined) {
      const isEarly = last.n > suspect.n + 1
      const message = isEarly
        ? `record ${last.n} stands before record ${line.n}`
        : `a line that does not belong there stands after record ${suspect.n}`
      state.broken = { ...state.broken, kind: isEarly ? 'reordered' : 'inserted', message }
    }
    state.suspect = undefined
    return
  }
  if (line.sha256 === last?.sha256) {
    addBreak(state, 'inserted', `record ${line.n} stands twice`, line)
    return
  }
  if (state.hashBefore !== undefined && last !== undefined && continues(state.hashBefore)) {
    // Its maker gave the line before this one a fitting hash, but the rest does not go on from it.
    addBreak(state, 'inserted', `record ${last.n} was put in before this one`, last)
    return
  }
  const isFirst = state.broken === undefined
  const { kind, message } = guess(state.n, line.n)
  addBreak(state, kind, message, line)
  if (state.hash !== undefined) state.suspect = { previous: state.hash, n: state.n, isFirst }
}

function guess(before: number, n: number): { kind: Break['kind']; message: string } {
  if (n === before + 1) {
    const message = `record ${n} does not follow from record ${before}: one of the two was changed`
    return { kind: 'changed', message }
  }
  if (n <= before) {
    return { kind: 'reordered', message: `record ${n} stands after record ${before}` }
  }
  const message =
    n === before + 2
      ? `record ${before + 1} is missing`
      : `records ${before + 1} to ${n - 1} are missing`
  return { kind: 'removed', message }
}

function addBreak(
  state: ChainState,
  kind: Break['kind'],
  message: string,
  at: { line?: number; offset?: number; n?: number; t?: string },
): void {
  state.breaks++
  state.broken ??= {
    kind,
    segment: state.segment,
    line: at.line ?? state.line,
    offset: at.offset ?? 0,
    n: at.n,
    t: at.t,
    message,
  }
}
