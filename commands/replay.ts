import { string as arg } from '@oclif/core/args'
import { boolean, string } from '@oclif/core/flags'
import { FORMATS, type Format } from '../src/replay/index.ts'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { exportTo, printTelling } from './replay-output.ts'
import { type Opened, openFile, openSession, placeOf, selectionsOf } from './replay-source.ts'
import { usage } from './report.ts'
import { openSignedIn } from './signed-in.ts'

const INTERRUPTED = 130

export default class Replay extends BaseCommand {
  static override summary = 'see a session again as its user saw it'
  static override description =
    'On a terminal a player: ? tells its keys. Elsewhere a plain transcript. What is shown is what the person was shown, after masking. Your own sessions always; those of others only for auditors, and that you look is on record.\n--file reads a recording from a file and needs neither server nor sign-in.'
  static override usage = 'replay SESSION [flags]'
  static override examples = [
    'dbgate replay s-8k2m',
    'dbgate replay s-8k2m --at +12m --speed 4',
    'dbgate replay s-8k2m --follow',
    'dbgate replay s-8k2m --export incident.html',
    'dbgate replay --file s-8k2m4qxz.dbgr --only denied,writes',
  ]
  static override args = { session: arg({ description: 'its id, or the start of it' }) }
  static override flags = {
    file: string({ description: 'a recording file instead of a session', helpValue: 'FILE' }),
    at: string({ description: 'begin there: 14:05, +12m, or a request', helpValue: 'PLACE' }),
    speed: string({
      description: 'how fast',
      options: ['0.5', '1', '2', '4', '8', '16'],
      default: '1',
    }),
    'idle-limit': string({
      description: 'longer pauses are shortened to so many seconds',
      default: '2',
      helpValue: 'SECONDS',
    }),
    paused: boolean({ description: 'begin paused' }),
    follow: boolean({ description: 'go on while the session runs' }),
    only: string({ description: 'held,denied,writes,errors,masked', helpValue: 'WHAT' }),
    'no-results': boolean({ description: 'without the rows' }),
    export: string({ description: 'write it to a file', helpValue: 'FILE', exclusive: ['follow'] }),
    format: string({
      description: "of the file; its name's ending if left out",
      options: ['cast', 'html', 'sql', 'txt', 'jsonl'],
    }),
    force: boolean({ description: 'replace the file if it is there' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Replay)
    const idleLimitMs = idleLimitOf(flags['idle-limit'])
    const only = selectionsOf(flags.only)
    if ((args.session === undefined) === (flags.file === undefined)) {
      throw usage('which session? Name one, or a --file', 'replay')
    }
    const stop = new AbortController()
    const opened = await this.#open(args.session, flags, stop.signal)
    const at = flags.at === undefined ? undefined : placeOf(flags.at, opened.story)
    const telling = {
      only,
      hasResults: !flags['no-results'],
      marks: this.terminal.marks,
      from: at ?? 0,
    }
    const options = { ...telling, idleLimitMs, sha256: opened.sha256 }
    try {
      if (flags.export !== undefined) {
        const format = oneFormat(flags.format)
        const said = await exportTo(opened, flags.export, format, options, flags.force)
        this.result(flags.json, said, () => {
          const { terminal } = this
          terminal.say(`${terminal.marks.ok} ${visible(said.path)}: ${said.bytes} bytes`)
        })
        return
      }
      const isScreen = this.mayDraw(flags) && this.terminal.isOutTTY && flags.format === undefined
      if (isScreen) await this.#show(opened, { ...flags, at, idleLimitMs, only }, options)
      else {
        const format = flags.json ? 'jsonl' : oneFormat(flags.format)
        const print = printTelling(opened, this.io.stdout, format ?? 'txt', options)
        this.finish(await this.#untilInterrupted(print, stop))
      }
    } finally {
      stop.abort()
    }
  }

  async #open(
    session: string | undefined,
    flags: {
      readonly file: string | undefined
      readonly follow: boolean
      readonly server: string | undefined
      readonly 'no-results': boolean
    },
    signal: AbortSignal,
  ): Promise<Opened> {
    const { follow, file } = flags
    const hasResults = !flags['no-results']
    if (file !== undefined) return openFile(file, { follow, hasResults, signal })
    const { api } = await openSignedIn(this.io, flags.server)
    return openSession(api, session ?? '', { follow, hasResults, signal })
  }

  async #show(
    opened: Opened,
    flags: {
      readonly speed: string
      readonly paused: boolean
      readonly follow: boolean
      readonly at: number | undefined
      readonly idleLimitMs: number
      readonly only: Parameters<typeof exportTo>[3]['only']
    },
    options: Parameters<typeof exportTo>[3],
  ): Promise<void> {
    const { io, terminal } = this
    const { showPlayer } = await import('../src/ui/index.ts')
    const left = await showPlayer({
      story: opened.story,
      more: opened.more,
      marks: terminal.marks,
      isColour: terminal.paint.red('x') !== 'x',
      stdin: io.stdin,
      stderr: io.stderr,
      speed: Number(flags.speed),
      isPaused: flags.paused,
      isFollowing: flags.follow,
      at: flags.at,
      idleLimitMs: flags.idleLimitMs,
      only: flags.only,
      hasResults: options.hasResults,
      clock: () => performance.now(),
      exportTo: async (path, from) => {
        const said = await exportTo(opened, path, undefined, { ...options, from }, false)
        return visible(`${said.path}: ${said.bytes} bytes`)
      },
    })
    if (left === 'interrupt') this.finish(INTERRUPTED)
  }

  async #untilInterrupted(printing: Promise<void>, stop: AbortController): Promise<number> {
    let exitCode = 0
    const onInterrupt = (): void => {
      exitCode = INTERRUPTED
      stop.abort()
    }
    this.io.signals.once('SIGINT', onInterrupt)
    try {
      await printing
    } finally {
      this.io.signals.off('SIGINT', onInterrupt)
    }
    return exitCode
  }
}

function oneFormat(text: string | undefined): Format | undefined {
  return FORMATS.find(format => format === text)
}

function idleLimitOf(text: string): number {
  const seconds = Number(text)
  if (Number.isFinite(seconds) && seconds > 0) return seconds * 1000
  throw usage(`--idle-limit is not a number of seconds: ${text}`, 'replay')
}
