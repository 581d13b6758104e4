import { Worker } from 'node:worker_threads'
import { DbgateError } from '../errors.ts'
import type { Reading } from './read.ts'

type Job = { readonly text: Buffer; readonly answer: (reading: Reading) => void }

export type BigStackOptions = {
  readonly module: WebAssembly.Module
  readonly stackSizeMb: number
  readonly timeLimitMs: number
  /** Texts waiting behind the one at work; more than that are refused. */
  readonly maxWaiting: number
}

/** The same file as .ts in a checkout and .js once compiled. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js',
  import.meta.url,
)

/** Memory for one parse tree of the largest text allowed, with room to spare. */
const MAX_HEAP_MB = 1024

/**
 * Reads monstrous statements one at a time in a thread with a large stack.
 *
 * Every text is answered: one that takes too long or kills its thread is refused, and the next one
 * gets a new thread.
 */
export class BigStack {
  readonly #options: BigStackOptions
  readonly #waiting: Job[] = []
  #worker: Worker | undefined
  #job: Job | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: BigStackOptions) {
    this.#options = options
  }

  /** Reads one text; resolves with a refusal rather than reject. */
  read(text: Buffer): Promise<Reading> {
    if (this.#closed) return Promise.reject(new DbgateError('INTERNAL', 'analyser is closed'))
    if (this.#waiting.length >= this.#options.maxWaiting) {
      return Promise.resolve(refusal('too many large statements are being analysed'))
    }
    return new Promise(answer => {
      this.#waiting.push({ text, answer })
      this.#next()
    })
  }

  /** Ends the thread; what is not answered yet is refused. */
  async close(): Promise<void> {
    this.#closed = true
    for (const job of this.#waiting.splice(0)) job.answer(refusal('analyser is closed'))
    this.#finish(refusal('analyser is closed'))
    await this.#drop()
  }

  #next(): void {
    if (this.#job !== undefined) return
    const job = this.#waiting.shift()
    if (job === undefined) return
    this.#job = job
    this.#worker ??= this.#open()
    this.#worker.ref()
    const { timeLimitMs } = this.#options
    this.#timer = setTimeout(
      () => this.#fail(`statement takes longer than ${timeLimitMs} ms to analyse`),
      timeLimitMs,
    )
    // A copy: the text belongs to the caller, and a slice of a pool would be sent whole.
    this.#worker.postMessage(new Uint8Array(job.text))
  }

  #open(): Worker {
    const worker = new Worker(WORKER, {
      workerData: { module: this.#options.module },
      resourceLimits: {
        stackSizeMb: this.#options.stackSizeMb,
        maxOldGenerationSizeMb: MAX_HEAP_MB,
      },
      execArgv: [],
    })
    worker.on('message', ({ reading, broken }: { reading: Reading; broken: boolean }) => {
      if (worker !== this.#worker) return
      if (broken) void this.#drop()
      this.#finish(reading)
      this.#next()
    })
    const onEnd = () => {
      if (worker === this.#worker) this.#fail('statement could not be analysed')
    }
    worker.on('error', onEnd)
    worker.on('exit', onEnd)
    return worker
  }

  /** Refuses the text at work and replaces the thread that choked on it. */
  #fail(message: string): void {
    void this.#drop()
    this.#finish(refusal(message))
    this.#next()
  }

  #finish(reading: Reading): void {
    clearTimeout(this.#timer)
    const job = this.#job
    this.#job = undefined
    this.#worker?.unref()
    job?.answer(reading)
  }

  async #drop(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }
}

function refusal(message: string): Reading {
  return { ok: false, error: { message, position: undefined, reason: 'parser-failed' } }
}
