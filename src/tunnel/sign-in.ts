import { DbgateError } from '../errors.ts'

/** A token and when it stops being valid. Units: epoch ms. */
export type Token = { readonly token: string; readonly expiresAt: number }

/** The sign-in that a tunnel runs on, as the identity module keeps it. */
export type SignIn = {
  /** A token that is valid now, refreshed silently if need be. Throws: UNAUTHORIZED. */
  current(): Promise<Token>
  /** A new token although the old one looks valid. Throws: UNAUTHORIZED. */
  renew(): Promise<Token>
}

export type SignInEvent =
  | { readonly type: 'sign-in-renewed'; readonly expiresAt: number }
  | { readonly type: 'sign-in-ended' }

export type TokenKeeperOptions = {
  readonly signIn: SignIn
  /** Tells the server, so that live sessions go on. */
  readonly announce: () => Promise<void>
  readonly now: () => number
  readonly onEvent: (event: SignInEvent) => void
}

const TICK_MS = 15_000
/** A token this close to its end is not handed out: the server's clock may be ahead of ours. */
const SPARE_MS = 20_000
const MIN_MARGIN_MS = 30_000
const MAX_MARGIN_MS = 5 * 60_000
/** Renewed when this part of its life is left, within the bounds above. */
const MARGIN_PART = 0.2

/**
 * Keeps the sign-in of an open tunnel alive: hands out the token without asking the keychain each time,
 * renews it before it ends, and says so to the server. Wall-clock ticks, because a timer set for an
 * hour would be an hour late after an hour asleep.
 */
export class TokenKeeper {
  readonly #options: TokenKeeperOptions
  #token: Token | undefined
  #marginMs = MIN_MARGIN_MS
  #timer: NodeJS.Timeout | undefined
  #isEnded = false
  #isBusy = false
  /** A renewal that the server has not been told of yet; without it, live sessions end with the old token. */
  #isUnannounced = false

  constructor(options: TokenKeeperOptions) {
    this.#options = options
  }

  /** When the token in hand ends, if there is one. */
  get expiresAt(): number | undefined {
    return this.#token?.expiresAt
  }

  /** A token for one request. Throws: UNAUTHORIZED once the sign-in has ended. */
  async token(): Promise<string> {
    const kept = this.#token
    if (kept !== undefined && kept.expiresAt - SPARE_MS > this.#options.now()) return kept.token
    return (await this.#take(() => this.#options.signIn.current())).token
  }

  /** Gets a new token because the server refused the one in hand. Throws: UNAUTHORIZED. */
  async renew(): Promise<void> {
    await this.#take(() => this.#options.signIn.renew())
  }

  /** Begins to renew by itself; the timer does not keep the process alive. */
  start(): void {
    this.#timer = setInterval(() => {
      this.tick().catch(() => {}) // Reported as an event where it means something; else the next tick tries again.
    }, TICK_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Renews if it is time, and notices a sign-in made elsewhere after ours ended. */
  async tick(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      const isDue = (this.#token?.expiresAt ?? 0) - this.#marginMs <= this.#options.now()
      const { signIn } = this.#options
      if (isDue) await this.#take(() => (this.#isEnded ? signIn.current() : signIn.renew()))
      if (this.#isUnannounced) await this.#options.announce()
      this.#isUnannounced = false
    } finally {
      this.#isBusy = false
    }
  }

  async #take(get: () => Promise<Token>): Promise<Token> {
    try {
      const token = await get()
      const isNew = token.token !== this.#token?.token
      const isFirst = this.#token === undefined && !this.#isEnded
      this.#token = token
      this.#isEnded = false
      const leftMs = token.expiresAt - this.#options.now()
      this.#marginMs = Math.min(MAX_MARGIN_MS, Math.max(MIN_MARGIN_MS, leftMs * MARGIN_PART))
      if (isNew && !isFirst) {
        this.#isUnannounced = true
        this.#options.onEvent({ type: 'sign-in-renewed', expiresAt: token.expiresAt })
      }
      return token
    } catch (error) {
      this.#noteEnd(error)
      throw error
    }
  }

  /** A renewal that fails ends nothing while the token in hand is still good. */
  #noteEnd(error: unknown): void {
    const isOver = (this.#token?.expiresAt ?? 0) <= this.#options.now()
    const isRefused = error instanceof DbgateError && error.code === 'UNAUTHORIZED'
    if (this.#isEnded || !isOver || !isRefused) return
    this.#isEnded = true
    this.#options.onEvent({ type: 'sign-in-ended' })
  }
}
