import type { TargetConfig } from '../config/index.ts'
import { asDbgateError, type DbgateError } from '../errors.ts'
import { type Backend, strangersAmong } from './inspection.ts'

export type BypassWatchOptions = {
  readonly targets: () => readonly TargetConfig[]
  /** The clients that the database lists. */
  readonly list: (target: TargetConfig) => Promise<readonly Backend[]>
  readonly own: (target: TargetConfig) => ReadonlySet<number>
  /** Database users that are meant to connect directly, such as the application's own. */
  readonly except: () => readonly string[]
  /** Called once for each connection that did not come through the gate. */
  readonly found: (target: TargetConfig, stranger: Backend) => void
  readonly failed: (target: TargetConfig, error: DbgateError) => void
}

/** Of one look: an application that nobody has excepted must not fill the log. */
const MAX_TOLD = 100

/** Looks for connections past the gate, and tells of each one once. */
export class BypassWatch {
  readonly #options: BypassWatchOptions
  readonly #known = new Map<string, ReadonlySet<string>>()
  #running: Promise<void> | undefined

  constructor(options: BypassWatchOptions) {
    this.#options = options
  }

  /** Looks at every target; a look that is under way is not begun again. */
  look(): Promise<void> {
    this.#running ??= this.#lookAtAll().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #lookAtAll(): Promise<void> {
    for (const target of this.#options.targets()) {
      try {
        await this.#lookAt(target)
      } catch (cause) {
        this.#options.failed(target, asDbgateError(cause))
      }
    }
  }

  async #lookAt(target: TargetConfig): Promise<void> {
    const before = this.#options.own(target)
    const backends = await this.#options.list(target)
    // One of ours may have come or gone meanwhile.
    const own = new Set([...before, ...this.#options.own(target)])
    const known = this.#known.get(target.name) ?? new Set()
    const except = new Set(this.#options.except())
    const strangers = strangersAmong(backends, own).filter(({ user }) => !except.has(user ?? ''))
    this.#known.set(target.name, new Set(strangers.map(keyOf)))
    const fresh = strangers.filter(stranger => !known.has(keyOf(stranger)))
    for (const stranger of fresh.slice(0, MAX_TOLD)) this.#options.found(target, stranger)
  }
}

/** A process id comes again; with its start it does not. */
function keyOf({ pid, since, user }: Backend): string {
  return `${pid} ${since ?? user}`
}
