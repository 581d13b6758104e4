import type { NotifyChannel } from '../config/index.ts'
import type { Announcement } from './card.ts'
import { type Posted, type PostOptions, post } from './post.ts'

/** Why messages are late or lost. */
export type DeliveryProblem = {
  readonly channel: string
  readonly what: 'late' | 'given-up' | 'dropped'
  /** Never with an address in it. */
  readonly why: string
  /** The request that the message is about, where it is about one. */
  readonly request: string | undefined
}

export type ChannelOptions = PostOptions & {
  /** A timer; returns what cancels it. */
  readonly after: (ms: number, run: () => void) => () => void
  readonly randomBytes: (count: number) => Uint8Array
  readonly report: (problem: DeliveryProblem) => void
}

/** Messages that wait besides the one under way. More means that nobody would read them all anyway. */
export const MAX_QUEUED = 100
const MAX_ATTEMPTS = 10
const TIMEOUT_MS = 10_000
const FIRST_DELAY_MS = 1000
const MAX_DELAY_MS = 60_000

type Waiting = { readonly card: Announcement; readonly deliveryId: string }

/** The messages for one channel, in order, one at a time. */
export class Channel {
  #config: NotifyChannel
  readonly #options: ChannelOptions
  #queue: Waiting[] = []
  #missed = 0
  #isClosing = false
  #running: Promise<void> | undefined
  /** Ends the pause before the next attempt. */
  #wake: () => void = () => undefined
  readonly #stop = new AbortController()

  constructor(config: NotifyChannel, options: ChannelOptions) {
    this.#config = config
    this.#options = options
  }

  /** Where it goes from the next attempt on. */
  set config(config: NotifyChannel) {
    this.#config = config
    this.#wake()
  }

  /** Puts a message into the queue; the oldest gives way when it is full. */
  push(card: Announcement): void {
    if (this.#isClosing) return
    const deliveryId = Buffer.from(this.#options.randomBytes(12)).toString('hex')
    this.#queue.push({ card, deliveryId })
    if (this.#queue.length > MAX_QUEUED) {
      const oldest = this.#queue.shift()
      this.#missed += 1
      this.#report('dropped', `more than ${MAX_QUEUED} messages wait`, oldest?.card.id)
    }
    this.#running ??= this.#run()
  }

  /** Tries what is left once more, for as long as `graceMs`, and ends. With 0 nothing more is sent. */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true
    this.#wake()
    if (graceMs === 0) this.#stop.abort()
    const cancel = this.#options.after(graceMs, () => this.#stop.abort())
    await this.#running
    cancel()
  }

  async #run(): Promise<void> {
    await Promise.resolve() // Whoever told us goes on first.
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      if (this.#stop.signal.aborted) this.#lose(next, 'there was no more time')
      else await this.#deliver(next)
    }
    this.#running = undefined
  }

  async #deliver(message: Waiting): Promise<void> {
    const missed = this.#missed
    for (let attempt = 1; ; attempt += 1) {
      const posted = await this.#attempt(message, missed)
      if (posted.outcome === 'delivered') {
        this.#missed -= missed
        return
      }
      const { why, mayRetry } = posted
      if (!mayRetry || attempt === MAX_ATTEMPTS || this.#isClosing) return this.#lose(message, why)
      if (attempt === 1) this.#report('late', why, message.card.id)
      await this.#pause(attempt)
    }
  }

  async #attempt(message: Waiting, missed: number): Promise<Posted> {
    const limit = new AbortController()
    const cancel = this.#options.after(TIMEOUT_MS, () => limit.abort())
    const signal = AbortSignal.any([limit.signal, this.#stop.signal])
    try {
      return await Promise.race([
        post(this.#config, { ...message, missed }, signal, this.#options),
        abortOf(signal),
      ])
    } catch {
      // Not its text: it could quote the statement.
      return { outcome: 'failed', why: 'the message could not be made', mayRetry: false }
    } finally {
      cancel()
    }
  }

  /** Twice as long each time, and some chance, so that many gates do not come back at once. */
  #pause(attempt: number): Promise<void> {
    if (this.#isClosing) return Promise.resolve()
    const fullMs = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MAX_DELAY_MS)
    const chance = (this.#options.randomBytes(1)[0] ?? 0) / 256
    return new Promise(resolve => {
      const cancel = this.#options.after(fullMs * (0.5 + chance / 2), resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }

  #lose({ card }: Waiting, why: string): void {
    this.#missed += 1
    this.#report('given-up', why, card.id)
  }

  #report(what: DeliveryProblem['what'], why: string, request: string | undefined): void {
    this.#options.report({ channel: this.#config.name, what, why, request })
  }
}

/** Also ends the wait for a secret, which knows of no signal. */
function abortOf(signal: AbortSignal): Promise<Posted> {
  return new Promise(resolve => {
    const end = () => resolve({ outcome: 'failed', why: 'no answer in time', mayRetry: true })
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}
