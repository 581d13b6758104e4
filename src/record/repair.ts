import { hash } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DbgateError } from '../errors.ts'
import {
  chainHash,
  chainHashInPlace,
  decodeHeader,
  FORMAT_VERSION,
  GENESIS,
  LEAD_BYTES,
  segmentName,
  segmentNumber,
} from './format.ts'
import { LineReader } from './lines.ts'
import type { RepairedRecord } from './records.ts'

/** Where a log ends and what goes on from there. `append`: the segment to append to; none: make a new one. */
export type LogEnd = {
  readonly n: number
  readonly sha256: string
  readonly segment: number
  readonly append: number | undefined
  readonly repairs: readonly RepairedRecord[]
}

/** The numbers of the segments in a directory, in order. */
export function listSegments(dir: string): number[] {
  return readdirSync(dir)
    .map(segmentNumber)
    .filter(number => number !== undefined)
    .sort((a, b) => a - b)
}

/**
 * Finds the end of the chain in the last segment and brings that end in order: only whole records that
 * follow from those before remain for the writer to go on from. Nothing is thrown away but the unfinished
 * line of a killed writer, of which nothing was forwarded.
 *
 * Throws: INTEGRITY (XX001) the last segment is of a format this version does not know.
 */
export async function findEnd(dir: string): Promise<LogEnd> {
  const aside: RepairedRecord[] = []
  for (;;) {
    const segment: number | undefined = listSegments(dir).at(-1)
    if (segment === undefined) {
      return { n: 0, sha256: GENESIS, segment: 0, append: undefined, repairs: aside }
    }
    const scan = await scanSegment(join(dir, segmentName(segment)))
    if (scan.goodBytes > 0 || scan.isBroken) {
      const { repairs, ...end } = settle(dir, segment, scan)
      return { ...end, repairs: [...aside, ...repairs] }
    }
    // Without its first line the segment says nothing of where it belongs: go on from the one before.
    aside.push(...setAside(dir, segment))
  }
}

/** A place in the chain. */
type Link = { readonly n: number; readonly sha256: string }

type Scan = {
  /** The last line that follows from all lines before it, and where it ends. */
  good: Link
  goodBytes: number
  /** The last line of whatever kind. */
  last: Link
  /** There are whole lines after the good ones. */
  hasMore: boolean
  /** One of those follows from the line before it: not the work of a crash. */
  isBroken: boolean
  /** Bytes after the last newline. */
  rest: Buffer
}

async function scanSegment(path: string): Promise<Scan> {
  const lines = await LineReader.open(path)
  try {
    const none = { n: 0, sha256: '' }
    const scan: Scan = {
      good: none,
      goodBytes: 0,
      last: none,
      hasMore: false,
      isBroken: false,
      rest: Buffer.alloc(0),
    }
    do {
      while (lines.advance()) addLine(scan, lines, path)
    } while (await lines.fill())
    scan.rest = lines.copyRest()
    return scan
  } finally {
    await lines.close()
  }
}

function addLine(scan: Scan, lines: LineReader, path: string): void {
  const link = readLink(lines, path)
  if (link === undefined) {
    scan.hasMore = true
    return
  }
  const { previous, n, sha256 } = link
  const expected = previous === undefined ? scan.last.n + 1 : n
  const from = previous ?? scan.last.sha256
  const follows =
    n === expected && chainHashInPlace(from, lines.buf, lines.start, lines.end) === sha256
  scan.last = { n, sha256 }
  if (!follows) {
    scan.hasMore = true
  } else if (scan.hasMore) {
    scan.isBroken = true
  } else {
    scan.good = scan.last
    scan.goodBytes = lines.offset + lines.end - lines.start + 1
  }
}

/** A line's number and hash, and for a segment's first line the hash it continues. */
function readLink(
  lines: LineReader,
  path: string,
): { previous: string | undefined; n: number; sha256: string } | undefined {
  const sha256 = lines.statedHash()
  if (sha256 === undefined) return undefined
  if (lines.offset > 0) {
    const n = recordNumber(lines.jsonHead())
    return n === undefined ? undefined : { previous: undefined, n, sha256 }
  }
  const header = decodeHeader(lines.json())
  if (header === undefined) return undefined
  if (header.v !== FORMAT_VERSION) {
    throw new DbgateError('INTEGRITY', `${path} has format version ${header.v}`, {
      detail: `This version of dbgate reads and writes version ${FORMAT_VERSION}.`,
    })
  }
  return { previous: header.continues, n: header.first - 1, sha256 }
}

function settle(dir: string, segment: number, scan: Scan): LogEnd {
  const { rest, hasMore, isBroken, goodBytes } = scan
  if (isBroken) {
    const repairs = [describe(dir, segment, 'broken', goodBytes)]
    return { ...scan.last, segment, append: undefined, repairs }
  }
  const path = join(dir, segmentName(segment))
  if (hasMore) {
    const repaired = describe(dir, segment, 'damaged', goodBytes)
    const kept = keep(path, readFileSync(path).subarray(goodBytes), goodBytes)
    cut(path, goodBytes)
    return { ...scan.good, segment, append: segment, repairs: [{ ...repaired, kept }] }
  }
  if (rest.length === 0) return { ...scan.good, segment, append: segment, repairs: [] }
  const missed = wholeButNewline(rest, scan.good)
  if (missed !== undefined) {
    appendNewline(path)
    return { ...missed, segment, append: segment, repairs: [] }
  }
  const repaired = describe(dir, segment, 'torn', goodBytes)
  cut(path, goodBytes)
  return { ...scan.good, segment, append: segment, repairs: [repaired] }
}

function describe(
  dir: string,
  segment: number,
  what: RepairedRecord['what'],
  offset: number,
): RepairedRecord {
  const bytes = readFileSync(join(dir, segmentName(segment))).subarray(offset)
  const sha256 = hash('sha256', bytes, 'hex')
  return { type: 'repaired', what, segment, offset, bytes: bytes.length, sha256 }
}

/** The last line where nothing of it is missing but its newline. */
function wholeButNewline(rest: Buffer, good: Link): Link | undefined {
  if (rest.length <= LEAD_BYTES) return undefined
  const sha256 = rest.toString('latin1', 0, 64)
  const json = rest.subarray(LEAD_BYTES)
  if (recordNumber(json.toString('latin1', 0, 30)) !== good.n + 1) return undefined
  if (chainHash(good.sha256, json) !== sha256) return undefined
  return { n: good.n + 1, sha256 }
}

/** Keeps bytes that do not belong into the log in a file beside it, and returns the file's name. */
function keep(path: string, bytes: Buffer, offset: number): string {
  const kept = `${basename(path)}.damaged-${offset}-${hash('sha256', bytes, 'hex').slice(0, 8)}`
  writeFileSync(join(dirname(path), kept), bytes, { mode: 0o600, flush: true })
  return kept
}

/** Takes a segment without a readable first line out of the way. */
function setAside(dir: string, segment: number): RepairedRecord[] {
  const path = join(dir, segmentName(segment))
  const bytes = readFileSync(path)
  if (bytes.length === 0) {
    unlinkSync(path)
    return []
  }
  const repaired = describe(dir, segment, 'damaged', 0)
  const kept = keep(path, bytes, 0)
  unlinkSync(path)
  return [{ ...repaired, kept }]
}

function cut(path: string, bytes: number): void {
  const fd = openSync(path, 'r+')
  try {
    ftruncateSync(fd, bytes)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function appendNewline(path: string): void {
  const fd = openSync(path, 'a')
  try {
    writeSync(fd, '\n')
  } finally {
    closeSync(fd)
  }
}

/** The number a record's JSON starts with. */
export function recordNumber(json: string): number | undefined {
  const digits = /^\{"n":(\d{1,15}),/.exec(json)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
