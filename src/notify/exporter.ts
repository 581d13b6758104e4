import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ExportSink } from '../config/index.ts'
import { bytesAfter, type Position, readRecords } from '../record/index.ts'
import { otlpSender, type Sender, type SenderOptions, webhookSender } from './export-http.ts'
import { syslogSender } from './export-syslog.ts'
import { type ExportedEvent, exportedEvent, isWanted } from './exported-event.ts'

export type ExporterOptions = SenderOptions & {
  readonly logDir: string
  /** Where it is kept how far the sink has come. */
  readonly cursorFile: string
  /** A timer; returns what cancels it. */
  readonly after: (ms: number, run: () => void) => () => void
  readonly report: (problem: ExportProblem) => void
}

/** `why` never has an address in it. */
export type ExportProblem = {
  readonly sink: string
  readonly what: 'late' | 'recovered' | 'unreadable'
  readonly why: string
}

const LOOK_MS = 500
const TIMEOUT_MS = 15_000
const MAX_DELAY_MS = 60_000
const BATCH_EVENTS = 200
const BATCH_CHARS = 512 * 1024

type Batch = {
  readonly events: readonly ExportedEvent[]
  readonly next: Position
  readonly isFull: boolean
}

/**
 * Brings the audit log to one sink: in order, each event at least once, from where it had come to. The log's
 * own files are the spool, so nothing is lost while the sink is away, and nobody ever waits for it.
 */
export class Exporter {
  readonly #sink: ExportSink
  readonly #options: ExporterOptions
  readonly #sender: Sender
  readonly #stop = new AbortController()
  #at: Position | undefined
  /** Before the last batch: sent again where nothing said that it arrived. */
  #before: Position | undefined
  #failures = 0
  #cancel: () => void = () => undefined
  #running: Promise<void>

  constructor(sink: ExportSink, options: ExporterOptions) {
    this.#sink = sink
    this.#options = options
    this.#sender = senderOf(sink, options)
    this.#running = this.#turn()
  }

  /** Ends after the batch under way; the next start goes on from there. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.#cancel()
    await this.#running
    this.#sender.close()
  }

  async #turn(): Promise<void> {
    let waitMs = LOOK_MS
    try {
      this.#at ??= await this.#start()
      for (let isFull = true; isFull && !this.#stop.signal.aborted; ) isFull = await this.#step()
    } catch (cause) {
      if (this.#stop.signal.aborted) return
      waitMs = this.#failed(cause)
    }
    if (this.#stop.signal.aborted) return
    this.#cancel = this.#options.after(waitMs, () => {
      this.#running = this.#turn()
    })
  }

  #failed(cause: unknown): number {
    this.#failures += 1
    if (this.#failures === 1) {
      this.#at = this.#before ?? this.#at
      this.#report('late', cause instanceof Error ? cause.message : String(cause))
    }
    return Math.min(LOOK_MS * 2 ** this.#failures, MAX_DELAY_MS)
  }

  /** Sends one batch; true where more was waiting. */
  async #step(): Promise<boolean> {
    const from = this.#at
    if (from === undefined || bytesAfter(this.#options.logDir, from) === 0) return false
    const { events, next, isFull } = await this.#read(from)
    if (events.length > 0) {
      const limit = AbortSignal.timeout(TIMEOUT_MS)
      await this.#sender.send(events, AbortSignal.any([limit, this.#stop.signal]))
      if (this.#failures > 0) this.#report('recovered', `after ${this.#failures} attempts`)
      this.#failures = 0
    }
    if (next.segment !== from.segment || next.offset !== from.offset) {
      await saveCursor(this.#options.cursorFile, this.#sender.isUnanswered ? from : next)
      this.#before = this.#sender.isUnanswered ? from : undefined
      this.#at = next
    }
    return isFull
  }

  async #read(from: Position): Promise<Batch> {
    const { events: wanted, parameters } = this.#sink
    const events: ExportedEvent[] = []
    let next = from
    let chars = 0
    const onUnreadable = ({ segment, offset }: Position): void =>
      this.#report('unreadable', `byte ${offset} of segment ${segment} is no record`)
    for await (const entry of readRecords(this.#options.logDir, { from, onUnreadable })) {
      next = entry.next
      if (!isWanted(entry.record.type, wanted)) continue
      events.push(exportedEvent(entry, parameters))
      chars += 'text' in entry.record ? (entry.record.text?.length ?? 0) : 0
      if (events.length >= BATCH_EVENTS || chars > BATCH_CHARS)
        return { events, next, isFull: true }
    }
    return { events, next, isFull: false }
  }

  /** Where the sink has come to; a new one starts with the log's present end. */
  async #start(): Promise<Position> {
    const known = await readCursor(this.#options.cursorFile)
    if (known !== undefined) return known
    let end: Position = { segment: 0, offset: 0 }
    for await (const { next } of readRecords(this.#options.logDir, { onUnreadable: () => {} })) {
      end = next
    }
    await saveCursor(this.#options.cursorFile, end)
    return end
  }

  #report(what: ExportProblem['what'], why: string): void {
    this.#options.report({ sink: this.#sink.name, what, why })
  }
}

function senderOf(sink: ExportSink, options: SenderOptions): Sender {
  switch (sink.kind) {
    case 'webhook':
      return webhookSender(sink, options)
    case 'otlp':
      return otlpSender(sink, options)
    case 'syslog':
      return syslogSender(sink, options)
    default:
      return sink satisfies never
  }
}

async function readCursor(file: string): Promise<Position | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw cause
  }
  const value: unknown = JSON.parse(text)
  if (typeof value === 'object' && value !== null && 'segment' in value && 'offset' in value) {
    const { segment, offset } = value
    if (Number.isInteger(segment) && Number.isInteger(offset)) {
      return { segment: Number(segment), offset: Number(offset) }
    }
  }
  throw new Error(
    'the file that says how far the sink has come is damaged; remove it to start anew',
  )
}

/** Replaced as a whole: a reader finds the old place or the new one. */
async function saveCursor(path: string, { segment, offset }: Position): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const file = await open(`${path}.new`, 'w', 0o600)
  await file.writeFile(`${JSON.stringify({ v: 1, segment, offset })}\n`).finally(() => file.close())
  await rename(`${path}.new`, path)
}
