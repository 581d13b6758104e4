import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { DbgateError } from '../errors.ts'
import type { Answer, Asked, Question, Told, WorkerOptions } from './messages.ts'
import type {
  AuditRow,
  IndexStatus,
  SearchCounts,
  SearchOptions,
  SessionFilter,
  SessionRow,
} from './rows.ts'

/** What each question is answered with. */
type Answers = {
  readonly search: readonly AuditRow[]
  readonly count: SearchCounts
  readonly sessions: readonly SessionRow[]
  readonly status: IndexStatus
  readonly rebuild: undefined
  readonly close: undefined
}

type Waiting = { resolve(value: unknown): void; reject(error: Error): void }

/** The number of the answer that says the worker has the index open. */
const READY = 0

/**
 * The searchable index of an audit log: SQLite in a worker of its own, so that neither a search nor the
 * indexing ever stands in the way of a session. It follows the log's files; the log knows nothing of it.
 */
export class AuditIndex {
  readonly #options: WorkerOptions
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #number = READY
  #isClosed = false

  private constructor(options: WorkerOptions) {
    this.#options = options
  }

  /**
   * Opens the index in `file`, or makes it, and starts to bring it up to the end of the log in `logDir`.
   * A file that is damaged or of another version is built anew.
   *
   * Throws: INTERNAL the file can be neither opened nor made.
   */
  static async open(options: WorkerOptions): Promise<AuditIndex> {
    const index = new AuditIndex(options)
    const ready = index.#wait(READY)
    index.#start()
    await ready
    return index
  }

  /**
   * Returns the newest statements that fit `query`, in the order of their records. All that is on file when
   * this is called can be found.
   *
   * Shape: words and "phrases" of the SQL and `key:value`, all ANDed; `-` negates; a comma in a value is OR.
   * Keys: user connection|target verdict table class kind via rule session role request masked background id
   * outcome sqlstate rows ms.
   * Throws: USAGE (22023) the query cannot be read; INTERNAL the index cannot be read or written.
   */
  search(query: string, options: SearchOptions = {}): Promise<readonly AuditRow[]> {
    return this.#ask('search', { ask: 'search', query, options })
  }

  /**
   * Counts the statements that fit, those hidden as background, and all in that time, each up to a limit.
   *
   * Throws: as `search`.
   */
  count(query: string, options: SearchOptions = {}): Promise<SearchCounts> {
    return this.#ask('count', { ask: 'count', query, options })
  }

  /**
   * Returns the newest sessions that fit, in the order they started in.
   *
   * Throws: INTERNAL the index cannot be read or written.
   */
  sessions(filter: SessionFilter = {}): Promise<readonly SessionRow[]> {
    return this.#ask('sessions', { ask: 'sessions', filter })
  }

  /** Tells what the index holds, once it is up to the log's end. */
  status(): Promise<IndexStatus> {
    return this.#ask('status', { ask: 'status' })
  }

  /** Throws the index away and builds it anew from the log. */
  async rebuild(): Promise<void> {
    await this.#ask('rebuild', { ask: 'rebuild' })
  }

  /** Ends the worker after what it is doing; questions that wait are answered first. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    const asked = this.#ask('close', { ask: 'close' })
    this.#isClosed = true
    await asked
    await this.#worker?.terminate()
  }

  #ask<K extends keyof Answers>(_ask: K, question: Question & { ask: K }): Promise<Answers[K]> {
    if (this.#isClosed) {
      return Promise.reject(new DbgateError('INTERNAL', 'audit index is closed'))
    }
    this.#number++
    const asked: Asked = { number: this.#number, question }
    const answer = this.#wait(asked.number)
    const worker = this.#worker ?? this.#start()
    worker.postMessage(asked)
    // The worker is this package's own file: it answers each question with what `Answers` says.
    return answer as Promise<Answers[K]>
  }

  /** While somebody waits for it, the worker keeps the process alive; otherwise not. */
  #wait(number: number): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#waiting.set(number, { resolve, reject })
    this.#worker?.ref()
    return promise
  }

  #start(): Worker {
    // Beside this file, as source or as built.
    const file = new URL(`./index-worker${extname(import.meta.url)}`, import.meta.url)
    const worker = new Worker(file, { workerData: this.#options, name: 'audit index' })
    let failure: Error | undefined
    worker.on('message', (answer: Answer) => {
      const waiting = this.#waiting.get(answer.number)
      this.#waiting.delete(answer.number)
      if (this.#waiting.size === 0) worker.unref()
      if ('error' in answer) waiting?.reject(errorOf(answer.error))
      else waiting?.resolve(answer.value)
    })
    worker.on('error', error => {
      failure = error instanceof Error ? error : new Error(String(error))
    })
    worker.on('exit', () => this.#ended(worker, failure))
    this.#worker = worker
    return worker
  }

  /** The next question starts another worker: the index on disk is whole whenever one ends. */
  #ended(worker: Worker, cause: Error | undefined): void {
    if (this.#worker === worker) this.#worker = undefined
    const error = new DbgateError('INTERNAL', 'audit index stopped', { cause })
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

function errorOf({ code, message, detail, hint, next, cause }: Told): DbgateError {
  return new DbgateError(code, message, {
    next,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause: new Error(cause) }),
  })
}
