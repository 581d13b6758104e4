import { pad, type Terminal } from '../src/terminal.ts'
import type { CommandClass } from './index.ts'
import { wrap } from './report.ts'

const COLUMNS = 80

/** The root page: static, so that it needs nothing but this file. It lists only what exists. */
export function rootHelp(groups: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const width = Math.max(...[...groups.keys()].map(group => group.length))
  return [
    'Reach production PostgreSQL with your own sign-in. Every statement judged and on record.',
    '',
    '  dbgate demo                      try it here, nothing to set up',
    '  dbgate login bastion.acme.dev    sign in',
    '  dbgate connect prod              open a local tunnel',
    '  dbgate connect prod -- psql      ...and start something inside it',
    '',
    ...[...groups].flatMap(([group, names]) =>
      wrap(names.join(' '), COLUMNS - width - 2 - names.length).map(
        (line, index) => `${pad(index === 0 ? group : '', width)}  ${line.replaceAll(' ', '  ')}`,
      ),
    ),
    '',
    'dbgate help COMMAND: flags and examples · dbgate help exit-codes',
  ]
}

/** Exit codes as ux.md has them, as far as this version gives them. */
export const EXIT_CODES: readonly (readonly [code: string, name: string, when: string])[] = [
  ['0', 'ok', ''],
  ['1', 'internal', 'a fault of ours, or an SQL error in dbgate sql'],
  ['2', 'usage', 'a wrong flag or argument, or an answer was needed and could not be asked for'],
  ['3', 'invalid', 'the configuration or the policy does not validate'],
  ['4', 'auth', 'not signed in, expired, refused'],
  ['5', 'denied', 'the policy says no'],
  ['6', 'not_found', 'no such target, or none that is open to you'],
  ['7', 'unreachable', 'the server or the database cannot be reached'],
  ['8', 'pending', 'waiting for a person'],
  ['9', 'stale', 'decided already, expired, withdrawn'],
  ['10', 'port', 'the local port is taken'],
  ['11', 'integrity', 'audit verify found a break'],
  ['12', 'tests', 'policy test: at least one test failed'],
  ['13', 'differs', 'policy diff: the policies differ'],
  ['125', 'wrapper', 'connect … -- command: dbgate failed before the command started'],
  ['126, 127', '', 'the command is not executable, not found'],
  ['130', '', '^C'],
  ['other', '', "the command's own code"],
]

type FlagMeta = {
  readonly char?: string
  readonly description?: string
  readonly helpValue?: string | string[]
  readonly type?: string
  readonly allowNo?: boolean
  readonly helpGroup?: string
  readonly hidden?: boolean
}

/** The page of one command: usage, what it is for, examples first, then arguments and flags. */
export function commandHelp(name: string, command: CommandClass, terminal: Terminal): string[] {
  const { bold, dim } = terminal.paintOut
  const flags = Object.entries<FlagMeta>({ ...command.flags })
  const globals = Object.entries<FlagMeta>({ ...command.baseFlags })
  const lines = [command.summary ?? '', '', `  ${bold(`dbgate ${usageOf(name, command, flags)}`)}`]
  for (const paragraph of (command.description ?? '').split('\n').filter(text => text !== '')) {
    lines.push('', ...wrap(paragraph, Math.min(terminal.columns, 80)))
  }
  const examples = (command.examples ?? []).filter(example => typeof example === 'string')
  if (examples.length > 0) lines.push('', 'examples', ...examples.map(example => `  ${example}`))
  const args = Object.entries(command.args).filter(([, arg]) => arg.hidden !== true)
  lines.push(
    ...section(
      'arguments',
      args.map(([arg, { description }]) => [arg.toUpperCase(), description ?? '']),
    ),
  )
  lines.push(...section('flags', flags.filter(([, flag]) => flag.hidden !== true).map(flagLine)))
  lines.push(...section('everywhere', globals.map(flagLine)).map(line => dim(line)))
  return lines
}

function usageOf(
  name: string,
  command: CommandClass,
  flags: readonly (readonly [string, FlagMeta])[],
): string {
  if (typeof command.usage === 'string') return command.usage
  const args = Object.entries(command.args).map(([arg, { required }]) =>
    required === true ? arg.toUpperCase() : `[${arg.toUpperCase()}]`,
  )
  return [name, ...args, ...(flags.length > 0 ? ['[flags]'] : [])].join(' ')
}

function flagLine([name, flag]: readonly [string, FlagMeta]): readonly [string, string] {
  const value = flag.type === 'boolean' ? '' : ` ${flag.helpValue ?? name.toUpperCase()}`
  const long = flag.allowNo === true ? `--no-${name}` : `--${name}`
  return [
    `${flag.char === undefined ? '    ' : `-${flag.char}, `}${long}${value}`,
    flag.description ?? '',
  ]
}

function section(title: string, rows: readonly (readonly [string, string])[]): readonly string[] {
  if (rows.length === 0) return []
  const width = Math.max(...rows.map(([left]) => left.length))
  return ['', title, ...rows.map(([left, right]) => `  ${pad(left, width)}  ${right}`.trimEnd())]
}
