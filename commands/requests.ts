import { boolean, string } from '@oclif/core/flags'
import type { ApiClient, RequestAnswer } from '../src/api/index.ts'
import { table, visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { gistOf, stateOf } from './request-card.ts'
import { openSignedIn } from './signed-in.ts'
import { span } from './times.ts'

const WATCH_MS = 2_000
const INTERRUPTED = 130
const BELL = '\u0007'
const CLEAR = '\u001b[2J\u001b[H'

export default class Requests extends BaseCommand {
  static override summary = 'what waits for you to decide, and what of yours waits for others'
  static override examples = [
    'dbgate requests',
    'dbgate requests --watch',
    'dbgate requests --mine --state approved --json',
  ]
  static override flags = {
    mine: boolean({ description: 'only your own', exclusive: ['all', 'review'] }),
    all: boolean({ description: "everybody's, for auditors", exclusive: ['review'] }),
    review: boolean({ description: 'roles taken in an emergency that you have to look at' }),
    state: string({ description: 'open, approved, used, denied …', helpValue: 'STATE' }),
    kind: string({ description: 'statement or access', options: ['statement', 'access'] }),
    watch: boolean({ description: 'go on showing them until ^C; a bell for new ones' }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(Requests)
    const { api } = await openSignedIn(this.io, flags.server)
    const { state, kind } = flags
    const list = (which: Which) => api.requests({ which, state, kind })
    const which: readonly Which[] = flags.all
      ? ['all']
      : flags.review
        ? ['review']
        : flags.mine
          ? ['mine']
          : ['decide', 'mine']
    const load = async () =>
      Promise.all(which.map(async each => ({ which: each, found: await list(each) })))
    if (flags.watch) return this.#watch(load, flags.json)
    const groups = await load()
    const all = groups.flatMap(({ found }) => found)
    this.result(
      flags.json,
      all.map(({ raw }) => raw),
      () => this.#print(groups),
    )
  }

  #print(groups: readonly Group[]): void {
    const { terminal } = this
    const shown = groups.filter(({ found }) => found.length > 0)
    if (shown.length === 0) terminal.say('Nothing waits, for you or of yours.')
    shown.forEach(({ which, found }, index) => {
      if (index > 0) terminal.out('')
      terminal.out(TITLES[which])
      const width = terminal.isOutTTY ? terminal.columns - 2 : Number.MAX_SAFE_INTEGER
      const columns = [{ title: '' }, { title: '' }, { title: '' }, { title: '' }, FLEXIBLE]
      const rows = found.map(request => this.#cells(request, which))
      for (const line of table(columns, rows, width)) terminal.out(`  ${line}`)
    })
  }

  #cells(request: RequestAnswer, which: Which): readonly string[] {
    const now = this.io.now()
    const user = request.user.split('@')[0] ?? request.user
    const who =
      request.via === undefined || request.via === 'unknown' ? user : `${user}/${request.via}`
    const isOpen = request.state === 'open'
    const state =
      which === 'decide' || isOpen ? span(request.expiresAt - now) : stateOf(request, now)
    return [request.id, state, who, request.connection, gistOf(request)].map(text => visible(text))
  }

  /** Looks again every now and then. On a terminal the list is drawn anew, elsewhere new ones are lines. */
  async #watch(load: () => Promise<readonly Group[]>, isJson: boolean): Promise<void> {
    const { terminal, io } = this
    const known = new Set<string>()
    const stop = new AbortController()
    const onInterrupt = () => stop.abort()
    io.signals.once('SIGINT', onInterrupt)
    let isFirst = true
    while (!stop.signal.aborted) {
      const groups = await load()
      const fresh = groups
        .flatMap(({ found }) => found)
        .filter(({ id, state }) => {
          const key = `${id} ${state}`
          const isNew = !known.has(key)
          known.add(key)
          return isNew
        })
      if (isJson) for (const { raw } of fresh) terminal.out(JSON.stringify(raw))
      else if (terminal.isOutTTY) {
        if (fresh.length > 0 && !isFirst) terminal.raw(BELL)
        terminal.raw(CLEAR)
        this.#print(groups)
      } else if (fresh.length > 0) this.#print([{ which: 'all', found: fresh }])
      isFirst = false
      await pause(WATCH_MS, stop.signal)
    }
    io.signals.off('SIGINT', onInterrupt)
    this.finish(INTERRUPTED)
  }
}

type Which = Parameters<ApiClient['requests']>[0]['which']
type Group = { readonly which: Which; readonly found: readonly RequestAnswer[] }

const FLEXIBLE = { title: '', flexible: true }
const TITLES: Readonly<Record<Which, string>> = {
  decide: 'FOR YOU TO DECIDE',
  mine: 'YOURS',
  all: 'ALL',
  review: 'FOR YOU TO LOOK AT',
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
