import { basename } from 'node:path'
import { type Terminal, visible } from '../src/terminal.ts'
import { childEnvironment, runChild, type TunnelEvent } from '../src/tunnel/index.ts'
import { jsonVoice, plainVoice } from './connect-lines.ts'
import type { Facts } from './connect-open.ts'
import type { Io } from './io.ts'

/** What a way of staying open works with. Each returns the exit code. */
export type Stage = {
  readonly io: Io
  readonly terminal: Terminal
  readonly flags: {
    readonly env: readonly string[]
    readonly 'print-url': boolean
    readonly quiet: boolean
    readonly plain: boolean
    readonly json: boolean
  }
  readonly facts: Facts
  readonly signedInUntil?: number
  readonly hear: (listener: (event: TunnelEvent) => void) => void
  /** Resolves when another dbgate asks this tunnel to close. */
  readonly stopped: Promise<void>
}

const STOPPING = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
/** Programs that hand over to one that runs already, and end at once. */
const LAUNCHERS = ['code', 'cursor', 'windsurf', 'zed', 'idea', 'open', 'xdg-open']
const LAUNCHER_MS = 5_000

/** Runs a command inside the tunnel: its exit code is the result, and stdin, stdout and stderr are its own. */
export async function withCommand(stage: Stage, command: readonly string[]): Promise<number> {
  const { io, terminal, flags, facts } = stage
  const [file = '', ...args] = command
  const label = basename(file)
  const env = childEnvironment(io.env, facts, flags.env, label)
  if (!flags.quiet) {
    const dot = ` ${terminal.marks.dot} `
    terminal.say(
      [targetName(stage), facts.role, `${flags.env.join(', ')} set`]
        .map(text => visible(text))
        .join(dot),
    )
  }
  const startedAt = io.now()
  const end = await runChild({ file, args, env, signals: io.signals })
  if (end.notStarted !== undefined) {
    terminal.say(
      `${terminal.paint.red(terminal.marks.no)} ${visible(file)}: ${end.notStarted} (tunnel closed again)`,
    )
  } else if (
    end.exitCode === 0 &&
    LAUNCHERS.includes(label) &&
    io.now() - startedAt < LAUNCHER_MS
  ) {
    terminal.say(
      `${visible(label)} went to the background. ${targetName(stage)} stays open until ^C.`,
    )
    await untilSignal(stage)
  }
  return end.exitCode
}

/** Lines on stderr, the URL on stdout where a program may read it; until ^C. */
export async function showLines(stage: Stage): Promise<number> {
  const { terminal, flags, facts, hear } = stage
  hear(event => plain.tell(event))
  const plain = plainVoice(terminal, facts.target)
  terminal.say(visible(`ready ${facts.target} ${facts.host}:${facts.port} role=${facts.role}`))
  if (!terminal.isOutTTY || flags['print-url']) terminal.out(facts.url)
  else terminal.say(facts.url)
  return untilSignal(stage)
}

/** One JSON object a line on stdout. */
export async function showJson(stage: Stage): Promise<number> {
  const { io, terminal, facts, hear } = stage
  const voice = jsonVoice(terminal, io.now)
  const { target, role, url, host, port, user, database, server, version } = facts
  voice.event('ready', {
    ...{ target, role, url, host, port, user, database, server, pid: io.pid },
    server_version: version ?? null,
  })
  hear(event => voice.tell(event))
  const exitCode = await untilSignal(stage)
  voice.event('closed', { reason: exitCode === 0 ? 'disconnect' : 'interrupt' })
  return exitCode
}

/** The panel on stderr, below some lines that stay in the scrollback. */
export async function showPanelUntilStopped(stage: Stage): Promise<number> {
  const { io, terminal, flags, facts, hear } = stage
  const { initialPanel, showPanel } = await import('../src/ui/index.ts')
  const { marks, paint } = terminal
  const dot = ` ${marks.dot} `
  const version = facts.version === undefined ? [] : [`PostgreSQL ${facts.version}`]
  const head = [facts.role, ...version, 'recorded', facts.server].map(text => visible(text))
  terminal.say([`${paint.green(marks.ok)} ${targetName(stage)}`, ...head].join(dot))
  terminal.say('')
  terminal.say(`  ${visible(facts.url)}`)
  terminal.say('')
  terminal.say(
    `  other tools: ${facts.host} port ${facts.port}, user ${visible(facts.user)}, password as in the URL, SSL off`,
  )
  if (!terminal.isOutTTY || flags['print-url']) terminal.out(facts.url)
  const panel = showPanel({
    initial: initialPanel(
      {
        target: facts.target,
        isProduction: facts.environment === 'production',
        until: stage.signedInUntil ?? 0,
      },
      io.now(),
    ),
    url: facts.url,
    marks,
    isColour: paint.red('x') !== 'x',
    stdin: io.stdin,
    stderr: io.stderr,
    now: io.now,
  })
  hear(event => panel.tell(event))
  try {
    return await Promise.race([panel.quit.then(() => 0), untilSignal(stage)])
  } finally {
    await panel.close()
  }
}

/** The target's name, red where it is production. */
function targetName({ terminal, facts }: Stage): string {
  const name = visible(facts.target)
  return facts.environment === 'production' ? terminal.paint.red(name) : name
}

/** Waits for a signal or for `dbgate disconnect`, and returns the exit code that goes with it. */
async function untilSignal({ io, stopped }: Stage): Promise<number> {
  const listeners = new Map<NodeJS.Signals, () => void>()
  const signalled = new Promise<number>(resolve => {
    for (const [signal, exitCode] of Object.entries(STOPPING) as [NodeJS.Signals, number][]) {
      const listener = (): void => resolve(exitCode)
      listeners.set(signal, listener)
      io.signals.on(signal, listener)
    }
  })
  try {
    return await Promise.race([signalled, stopped.then(() => 0)])
  } finally {
    for (const [signal, listener] of listeners) io.signals.off(signal, listener)
  }
}
