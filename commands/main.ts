import { appendFile, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DbgateError } from '../src/errors.ts'
import { pad, Terminal } from '../src/terminal.ts'
import { commandHelp, EXIT_CODES, rootHelp } from './help.ts'
import { COMMANDS, type CommandEntry } from './index.ts'
import { type Io, processIo } from './io.ts'
import { packageJson, packageRoot, version } from './package.ts'
import { nearest, reportError, usage } from './report.ts'

/**
 * The way from `argv` to an exit code: root help and version without loading anything, then the one
 * command that was named. Everything a command throws is said here and nowhere else.
 */
export async function main(argv: readonly string[], io: Io = processIo()): Promise<void> {
  const own = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length)
  const isJson = own.includes('--json')
  const terminal = new Terminal(io, { colour: !own.includes('--no-color') && !isJson })
  surviveClosedPipes(io)
  try {
    process.exitCode = await dispatch(argv, own, io, terminal)
  } catch (thrown) {
    const expected = friendly(thrown, nameOf(argv))
    const isExpected = expected instanceof DbgateError && expected.code !== 'INTERNAL'
    const error = isExpected ? expected : await reported(thrown, io)
    const isVerbose = own.includes('--verbose') || own.includes('-v')
    process.exitCode = reportError(terminal, error, {
      isJson,
      isVerbose,
      exit: exitOf(argv, error),
    })
  }
}

async function dispatch(
  argv: readonly string[],
  own: readonly string[],
  io: Io,
  terminal: Terminal,
): Promise<number> {
  if (own.some(arg => arg === '--version' || arg === '-V')) return printVersion(terminal)
  const wantsHelp = own.some(arg => arg === '--help' || arg === '-h') || own[0] === 'help'
  const words = own[0] === 'help' ? own.slice(1) : own
  const first = words.find(word => !word.startsWith('-'))
  if (first === undefined) return printRoot(terminal)
  if (wantsHelp && first === 'exit-codes') return printExitCodes(terminal)
  const name = nameOf(argv)
  if (name === undefined) {
    const topic = Object.keys(COMMANDS).filter(known => known.startsWith(`${first} `))
    const isAlone = words.filter(word => !word.startsWith('-')).length === 1
    if (topic.length > 0 && (wantsHelp || isAlone)) return printTopic(terminal, topic)
    throw unknownCommand(words)
  }
  const command = await entryOf(name).load()
  command.id = name
  if (wantsHelp) {
    for (const line of commandHelp(name, command, terminal)) terminal.out(line)
    return 0
  }
  const { Config } = await import('@oclif/core/config')
  // No plugins and nothing to discover: the commands are those of `commands/index.ts`.
  const oclif = { bin: 'dbgate', topicSeparator: ' ', plugins: [] } as const
  const pjson = { ...packageJson(), oclif: { ...oclif, plugins: [] } }
  const options = { root: packageRoot(), pjson, userPlugins: false, devPlugins: false }
  const config = await Config.load(options)
  return command.start(without(argv, name), config, { io, terminal })
}

function entryOf(name: string): CommandEntry {
  const entry = COMMANDS[name]
  if (entry === undefined) throw unknownCommand([name])
  return entry
}

/** The command that the words name, two words before one. */
function nameOf(argv: readonly string[]): string | undefined {
  const words = argv[0] === 'help' ? argv.slice(1) : argv
  const end = words.indexOf('--')
  const plain = words.slice(0, end < 0 ? undefined : end).filter(word => !word.startsWith('-'))
  const [first = '', second = ''] = plain
  return [`${first} ${second}`, first].find(name => Object.hasOwn(COMMANDS, name))
}

/** What is left of argv for the command: its name's words are taken out once each, in order. */
function without(argv: readonly string[], name: string): readonly string[] {
  const missing = name.split(' ')
  return argv.filter(word => {
    if (word !== missing[0]) return true
    missing.shift()
    return false
  })
}

function unknownCommand(words: readonly string[]): DbgateError {
  const given = words.filter(word => !word.startsWith('-')).slice(0, 2)
  const names = Object.keys(COMMANDS)
  const meant = nearest(given.join(' '), names) ?? nearest(given[0] ?? '', names)
  const question = meant === undefined ? '' : `. Did you mean ${meant}?`
  return new DbgateError('USAGE', `no command ${JSON.stringify(given.join(' '))}${question}`, {
    next: [meant === undefined ? 'dbgate --help' : `dbgate ${meant} --help`],
  })
}

function printRoot(terminal: Terminal): number {
  const groups = Map.groupBy(Object.keys(COMMANDS), name => entryOf(name).group)
  const firstWords = [...groups].map(
    ([group, names]) => [group, [...new Set(names.map(name => name.split(' ')[0] ?? ''))]] as const,
  )
  for (const line of rootHelp(new Map(firstWords))) terminal.out(line)
  return 0
}

function printTopic(terminal: Terminal, names: readonly string[]): number {
  for (const name of names) terminal.out(`dbgate ${name}`)
  return 0
}

function printExitCodes(terminal: Terminal): number {
  for (const [code, name, when] of EXIT_CODES) {
    terminal.out(`${pad(code, 9)} ${pad(name, 12)} ${when}`.trimEnd())
  }
  return 0
}

function printVersion(terminal: Terminal): number {
  terminal.out(`dbgate ${version()} (node ${process.versions.node})`)
  return 0
}

/** oclif's errors about flags and arguments in our words; everything else as it is. */
function friendly(thrown: unknown, name: string | undefined): unknown {
  const isParse = thrown instanceof Error && 'oclif' in thrown && !(thrown instanceof DbgateError)
  if (!isParse) return thrown
  const isNoise = (line: string): boolean =>
    line === '' || /^(See more help|The following error|Note: --|Alternatively, you can)/.test(line)
  const lines = thrown.message.split('\n').map(line => line.trim())
  const [first = 'wrong usage', ...rest] = lines.filter(line => !isNoise(line))
  const missing = /^Missing \d+ required args?:?$/.test(first)
  const words = rest.map(line => line.split(/\s/)[0]?.toUpperCase()).join(' ')
  const message = missing ? `missing: ${words}` : first.charAt(0).toLowerCase() + first.slice(1)
  return usage(message, name ?? '', missing ? undefined : rest.join('; ') || undefined)
}

/** `connect … -- command` keeps its own codes apart from the command's. */
function exitOf(argv: readonly string[], error: DbgateError): number | undefined {
  const isWrapper = nameOf(argv) === 'connect' && argv.includes('--')
  return isWrapper && error.code !== 'USAGE' ? 125 : undefined
}

/** Writes what we did not foresee to a file and returns an error that names it: never a stack on a screen. */
async function reported(thrown: unknown, io: Io): Promise<DbgateError> {
  const cause = thrown instanceof DbgateError ? (thrown.cause ?? thrown) : thrown
  const path = join(io.env.XDG_STATE_HOME || join(io.home, '.local/state'), 'dbgate/dbgate.log')
  const stack = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await appendFile(path, `${new Date(io.now()).toISOString()} ${stack}\n`, { mode: 0o600 })
  } catch (error) {
    return new DbgateError('INTERNAL', 'internal error, and the log cannot be written', {
      detail: error instanceof Error ? error.message : '',
    })
  }
  const message = thrown instanceof DbgateError ? thrown.message : 'internal error'
  const detail = thrown instanceof DbgateError ? thrown.detail : undefined
  return new DbgateError('INTERNAL', message, {
    detail: detail ?? `What happened is in ${path}`,
    cause,
  })
}

/** `dbgate ls | head -1` must end quietly when head does. */
function surviveClosedPipes(io: Io): void {
  for (const stream of [io.stdout, io.stderr]) {
    stream.on('error', error => {
      if (!('code' in error) || error.code !== 'EPIPE') throw error
    })
  }
}
