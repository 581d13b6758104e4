import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import type { Break, ChainState } from './chain.ts'
import type { Checkpoint } from './checkpoint.ts'
import { OPEN_DIRECTORY, recordingName } from './recording-reader.ts'
import { digestOf } from './recording-recovery.ts'
import type { ToldRecording } from './verify-ledger.ts'

/** How the log and its checkpoints agree. */
export type CheckpointsFound = {
  readonly checkpoints: number
  readonly matching: number
  /** Without the public key, signatures are not checked. */
  readonly isSignatureChecked: boolean
  /** Records that came after the last one: nothing shows yet if they are cut off. */
  readonly notCovered: number
}

/** Holds a log against checkpoints that were kept elsewhere. */
export function againstCheckpoints(
  state: ChainState,
  checkpoints: readonly Checkpoint[],
): { found: CheckpointsFound; breaks: Break[] } {
  const breaks: Break[] = []
  let matching = 0
  let before: Checkpoint | undefined
  let isCutOff = false
  for (const one of checkpoints) {
    const problem = ownProblem(one, before)
    if (problem !== undefined) breaks.push(atEnd(state, 'checkpoint', problem))
    if (one.isSigned === false) continue
    before = one
    const hashes = state.ledger.hashes.get(one.n) ?? []
    if (hashes.includes(one.sha256)) matching += 1
    else if (one.n > lastNumber(state)) {
      if (!isCutOff) breaks.push(cutOff(state, checkpoints))
      isCutOff = true
    } else if (!breaks.some(({ kind }) => kind === 'replaced')) breaks.push(replaced(state, one))
  }
  const notCovered = Math.max(0, lastNumber(state) - (before?.n ?? 0))
  const isSignatureChecked = checkpoints.every(one => one.isSigned !== undefined)
  const found = { checkpoints: checkpoints.length, matching, isSignatureChecked, notCovered }
  return { found, breaks }
}

function lastNumber(state: ChainState): number {
  return state.last?.n ?? 0
}

function ownProblem(one: Checkpoint, before: Checkpoint | undefined): string | undefined {
  if (one.isSigned === false) {
    return `checkpoint ${one.sequence} of ${one.t} does not have a valid signature of this key`
  }
  if (before === undefined || one.sequence === before.sequence + 1) return undefined
  if (one.sequence <= before.sequence) {
    return `checkpoint ${one.sequence} stands after checkpoint ${before.sequence}`
  }
  return `checkpoint ${before.sequence + 1} is missing`
}

/** Told by the last checkpoint: it knows best how much is gone. */
function cutOff(state: ChainState, checkpoints: readonly Checkpoint[]): Break {
  const signed = checkpoints.filter(({ isSigned }) => isSigned !== false)
  const last = signed.reduce((one, other) => (other.n > one.n ? other : one))
  const ends = lastNumber(state)
  const where =
    ends === 0 ? 'the log is empty' : `the log ends at record ${ends} of ${state.last?.t}`
  const gone = last.n - ends === 1 ? '1 record is' : `${last.n - ends} records are`
  const message = `${where}, but checkpoint ${last.sequence} of ${last.t} saw record ${last.n}: ${gone} cut off, or an older copy was put back`
  return atEnd(state, 'cut-off', message)
}

function replaced(state: ChainState, one: Checkpoint): Break {
  const message = `record ${one.n} is not the one that checkpoint ${one.sequence} of ${one.t} saw: the log was written anew, or goes on from an older copy`
  return { ...atEnd(state, 'replaced', message), line: 0, n: one.n, t: undefined }
}

function atEnd(state: ChainState, kind: Break['kind'], message: string): Break {
  const { segment, line, last } = state
  return { kind, segment, line, offset: last?.offset ?? 0, n: last?.n, t: last?.t, message }
}

/** How the log and the recordings agree. */
export type RecordingsFound = {
  /** Those that should be there. */
  readonly recordings: number
  readonly missing: number
  readonly changed: number
}

/** Holds the recordings in a directory against the digests that the log has of them. */
export async function againstRecordings(
  state: ChainState,
  directory: string,
): Promise<{ found: RecordingsFound; breaks: Break[] }> {
  const breaks: Break[] = []
  for (const told of state.ledger.recordings.values()) {
    const problem = await problemOf(told, directory)
    if (problem === undefined) continue
    const { kind, what } = problem
    const whose = told.user === '' ? told.session : `${told.session} (${told.user})`
    const message = `recording ${told.file} of session ${whose} ${what}`
    breaks.push({ kind, message, ...told.place })
  }
  const missing = breaks.filter(({ kind }) => kind === 'recording-missing').length
  const recordings = state.ledger.recordings.size
  return { found: { recordings, missing, changed: breaks.length - missing }, breaks }
}

type Problem = { readonly kind: 'recording-missing' | 'recording-changed'; readonly what: string }

const MISSING: Problem = { kind: 'recording-missing', what: 'is missing' }

async function problemOf(told: ToldRecording, directory: string): Promise<Problem | undefined> {
  const places = [
    join(directory, told.file),
    join(directory, OPEN_DIRECTORY, recordingName(told.session)),
  ]
  if (told.isAbandoned) return { ...MISSING, what: 'was never brought to an end, and is missing' }
  if (told.digests.length === 0) return places.some(existsSync) ? undefined : MISSING
  for (const path of places) {
    try {
      const { sha256 } = await digestOf(path)
      if (told.digests.includes(sha256)) return undefined
      return { kind: 'recording-changed', what: 'was changed' }
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
    }
  }
  // A disk that took nothing has left no file behind.
  return told.bytes === 0 ? undefined : MISSING
}
