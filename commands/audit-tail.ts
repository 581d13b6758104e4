import { string as arg } from '@oclif/core/args'
import { integer } from '@oclif/core/flags'
import type { ApiClient, AuditEntry } from '../src/api/index.ts'
import { asDbgateError } from '../src/errors.ts'
import { auditCells, auditTable } from './audit-lines.ts'
import { BaseCommand } from './base.ts'
import { openSignedIn } from './signed-in.ts'

const LOOK_MS = 1000
const MAX_RETRY_MS = 15_000
const PAGE = 500
/** So long a statement's line waits for its end, so that the line can tell it. */
const END_WAIT_MS = 3000
const INTERRUPTED = 130
/** What passes by itself: the server restarts, the network is away. */
const PASSING = new Set(['UNREACHABLE', 'STARTING', 'DRAINING', 'TOO_MANY'])

export default class AuditTail extends BaseCommand {
  static override summary = 'follow what is run'
  static override description =
    'Shows statements as they are put on record, in the order of the records, each once: also when the connection is lost and comes back, and when the server restarts. The query is that of audit search. Ctrl-C ends it.'
  static override usage = 'audit tail [QUERY...] [flags]'
  static override examples = [
    'dbgate audit tail',
    'dbgate audit tail target:prod class:write,ddl',
    'dbgate audit tail verdict:denied --json',
    'dbgate audit tail --after 184203',
  ]
  static override strict = false
  static override args = { query: arg({ description: 'words and key:value' }) }
  static override flags = {
    last: integer({
      description: 'first so many that were before',
      default: 10,
      min: 0,
      max: 1000,
    }),
    after: integer({
      description: 'go on after this record (n in --json)',
      min: 0,
      helpValue: 'N',
    }),
  }

  #seen = 0

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(AuditTail)
    const { terminal, io } = this
    const q = argv.map(String).join(' ')
    const { api, name } = await openSignedIn(io, flags.server)
    const stop = new AbortController()
    const interrupt = (): void => stop.abort()
    io.signals.once('SIGINT', interrupt)
    try {
      const start = flags.after ?? (await this.#begin(api, q, flags.last, flags.json))
      terminal.say(terminal.paint.dim(`following ${name}, Ctrl-C ends it`))
      await this.#follow(api, { q, after: start, isJson: flags.json, signal: stop.signal })
    } finally {
      io.signals.off('SIGINT', interrupt)
    }
    terminal.say(`${this.#seen} statements`)
    this.finish(INTERRUPTED)
  }

  /** Shows the last ones before now and returns the record to go on after. */
  async #begin(api: ApiClient, q: string, last: number, isJson: boolean): Promise<number> {
    const [newest] = await api.audit({ q: 'background:yes,no', limit: 1 })
    const until = newest?.n ?? 0
    if (last === 0) return until
    const shown = (await api.audit({ q, limit: last })).filter(({ n }) => n <= until)
    this.#print(shown, isJson, true)
    return until
  }

  async #follow(
    api: ApiClient,
    asked: {
      readonly q: string
      readonly after: number
      readonly isJson: boolean
      readonly signal: AbortSignal
    },
  ): Promise<void> {
    const { q, isJson, signal } = asked
    const firstSeen = new Map<number, number>()
    let { after } = asked
    let failures = 0
    while (!signal.aborted) {
      try {
        const found = await api.audit({ q, after, limit: PAGE })
        if (failures > 0) this.terminal.say('connected again')
        failures = 0
        const settled = this.#settled(found, firstSeen)
        this.#print(settled, isJson, false)
        after = settled.at(-1)?.n ?? after
        if (settled.length === PAGE) continue
      } catch (cause) {
        const error = asDbgateError(cause)
        if (!PASSING.has(error.code)) throw error
        if (failures === 0) this.terminal.say(`${error.message}; trying again`)
        failures += 1
      }
      await pause(Math.min(LOOK_MS * 2 ** Math.min(failures, 4), MAX_RETRY_MS), signal)
    }
  }

  /** The first of them, up to one whose end may still come. */
  #settled(found: readonly AuditEntry[], firstSeen: Map<number, number>): readonly AuditEntry[] {
    const now = this.io.now()
    const waits = found.findIndex(entry => {
      const isOver = entry.outcome !== undefined || entry.verdict === 'deny'
      const since = firstSeen.get(entry.n) ?? now
      firstSeen.set(entry.n, since)
      return !isOver && now - since < END_WAIT_MS
    })
    const settled = waits === -1 ? found : found.slice(0, waits)
    for (const { n } of settled) firstSeen.delete(n)
    return settled
  }

  #print(entries: readonly AuditEntry[], isJson: boolean, isFirst: boolean): void {
    const { terminal } = this
    this.#seen += entries.length
    if (isJson) for (const { raw } of entries) terminal.out(JSON.stringify(raw))
    else if (terminal.isOutTTY) {
      const lines = auditTable(terminal, entries, this.io.now())
      for (const line of isFirst ? lines : lines.slice(1)) terminal.out(line)
    } else {
      for (const entry of entries) {
        terminal.out(auditCells(terminal, entry, this.io.now()).join('  '))
      }
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}
