import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Break, ChainState, Place } from './chain.ts'
import { addLine, startChain, startSegment } from './chain.ts'
import type { Checkpoint } from './checkpoint.ts'
import { segmentName, segmentNumber } from './format.ts'
import { LineReader } from './lines.ts'
import { listSegments } from './repair.ts'
import type { CheckpointsFound, RecordingsFound } from './verify-against.ts'
import { againstCheckpoints, againstRecordings } from './verify-against.ts'

/** What `verifyLog` found. */
export type Verification = {
  /** Nothing was changed, removed, inserted or moved, as far as what was looked at can tell. */
  readonly isWhole: boolean
  readonly segments: number
  readonly records: number
  /** How many records there are of each type. */
  readonly byType: Readonly<Record<string, number>>
  readonly first: Place | undefined
  /** The end of the chain. Only a copy of this made elsewhere can prove that nothing was cut off after it. */
  readonly last: Place | undefined
  /** The first place that does not fit; undefined for a whole log. */
  readonly broken: Break | undefined
  /** How many places do not fit; 1 means that the chain is whole again after the first. */
  readonly breaks: number
  /** The first of what checkpoints and recordings show, in the order of the log. */
  readonly findings: readonly Break[]
  /** An unfinished last line: a log that is being written, or whose writer was killed. */
  readonly unfinishedBytes: number
  /** Undefined where it was not held against any. */
  readonly checkpoints: CheckpointsFound | undefined
  readonly recordings: RecordingsFound | undefined
}

/** What a log is held against. `recordings`: the directory of all. */
export type VerifyOptions = {
  readonly checkpoints?: readonly Checkpoint[] | undefined
  readonly recordings?: string | undefined
}

const ATTEMPTS = 3
const MAX_FINDINGS = 100

/**
 * Verifies the chain of a log's directory, or of one segment file by itself. Takes constant memory (and some
 * for each recording) and no lock, and may run while the log is written.
 *
 * Throws: INTEGRITY (XX001) a segment is of a format this version does not know; file system errors as
 * they come.
 */
export async function verifyLog(path: string, options: VerifyOptions = {}): Promise<Verification> {
  if (!(await stat(path)).isDirectory()) {
    const segment = segmentNumber(basename(path)) ?? 0
    const state = startChain(segment === 1 ? 'genesis' : 'anywhere')
    startSegment(state, segment, segment)
    return report(await walkLast(path, state), 1, [])
  }
  const checkpointed = options.checkpoints?.map(({ n }) => n) ?? []
  for (let attempt = 1; ; attempt++) {
    const { state, segments } = await walkAll(path, checkpointed)
    const recorded =
      options.recordings === undefined
        ? undefined
        : await againstRecordings(state, options.recordings)
    // A recording that was thinned or deleted since its record was read is told of by now.
    if (recorded !== undefined && recorded.breaks.length > 0 && attempt === 1) continue
    const checked =
      options.checkpoints === undefined ? undefined : againstCheckpoints(state, options.checkpoints)
    const breaks = [...(recorded?.breaks ?? []), ...(checked?.breaks ?? [])]
    const found = report(state, segments, breaks)
    return { ...found, checkpoints: checked?.found, recordings: recorded?.found }
  }
}

async function walkAll(
  path: string,
  checkpointed: readonly number[],
): Promise<{ state: ChainState; segments: number }> {
  const segments = listSegments(path)
  let state = startChain('genesis', checkpointed)
  let expected = 1
  for (const segment of segments) {
    startSegment(state, segment, expected)
    const file = join(path, segmentName(segment))
    state = segment === segments.at(-1) ? await walkLast(file, state) : await walk(file, state)
    expected = segment + 1
  }
  return { state, segments: segments.length }
}

/**
 * Walks the segment that may be written to meanwhile. A writer that failed half-way cuts its line off and
 * writes another in its place, so what looks broken counts only if it looks the same once more.
 */
async function walkLast(path: string, from: ChainState): Promise<ChainState> {
  let seen: string | undefined
  for (let attempt = 1; ; attempt++) {
    const state = await walk(path, structuredClone(from))
    if (state.breaks === from.breaks || attempt === ATTEMPTS) return state
    const found = JSON.stringify([state.broken, state.breaks])
    if (found === seen) return state
    seen = found
  }
}

async function walk(path: string, state: ChainState): Promise<ChainState> {
  const lines = await LineReader.open(path)
  try {
    do {
      while (lines.advance()) addLine(state, lines)
    } while (await lines.fill())
    state.unfinishedBytes = lines.rest
    return state
  } finally {
    await lines.close()
  }
}

function report(state: ChainState, segments: number, others: readonly Break[]): Verification {
  const { records, byType, first, last, unfinishedBytes } = state
  const findings = others.toSorted((a, b) => (a.n ?? 0) - (b.n ?? 0))
  const broken = [state.broken, findings[0]]
    .filter(one => one !== undefined)
    .toSorted((a, b) => (a.n ?? 0) - (b.n ?? 0))[0]
  const breaks = state.breaks + findings.length
  return {
    isWhole: breaks === 0,
    segments,
    records,
    byType,
    first,
    last: last && { n: last.n, t: last.t, sha256: last.sha256 },
    broken,
    breaks,
    findings: findings.slice(0, MAX_FINDINGS),
    unfinishedBytes,
    checkpoints: undefined,
    recordings: undefined,
  }
}
