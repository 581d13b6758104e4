import { randomBytes } from 'node:crypto'
import { run, succeed } from '../helpers/run.ts'
import { BIN, type Cli } from './cli.ts'

/** A command on a real terminal. */
export type Screen = {
  /** What the terminal shows now, scrollback included. */
  text(): Promise<string>
  press(...keys: string[]): Promise<void>
  /** What the command put on the clipboard. */
  clipboard(): Promise<string>
  close(): Promise<void>
}

export type TerminalOptions = {
  readonly columns?: number
  readonly rows?: number
  /** More of the environment. */
  readonly more?: Readonly<Record<string, string>>
}

/** Runs dbgate inside tmux, which gives it a terminal and tells what is on it. */
export async function terminal(
  cli: Cli,
  args: readonly string[],
  { columns = 100, rows = 40, more = {} }: TerminalOptions = {},
): Promise<Screen> {
  const name = `dbgate-test-${randomBytes(6).toString('hex')}`
  // Ink draws no screen where CI is set, and these tests look at it.
  const env = { ...cli.env, TERM: 'screen-256color', CI: '0', CONTINUOUS_INTEGRATION: '0', ...more }
  const tmux = (...words: string[]) =>
    succeed('tmux', ['-L', name, '-f', '/dev/null', ...words], { env })
  const quoted = [process.execPath, BIN, ...args].map(word => `'${word.replaceAll("'", `'\\''`)}'`)
  // The shell stays after the command, so that its last words and its exit code can be read.
  const script = `${quoted.join(' ')}; echo "exit $?"; sleep 60`
  await tmux(
    'new-session',
    '-d',
    '-s',
    'main',
    '-x',
    `${columns}`,
    '-y',
    `${rows}`,
    'sh',
    '-c',
    script,
  )
  await tmux('set-option', '-s', 'set-clipboard', 'on')
  return {
    text: () => tmux('capture-pane', '-p', '-t', 'main', '-S', '-100'),
    press: async (...keys) => {
      await tmux('send-keys', '-t', 'main', ...keys)
    },
    clipboard: async () =>
      (await run('tmux', ['-L', name, 'show-buffer'], { env })).stdout.toString(),
    close: async () => {
      await run('tmux', ['-L', name, 'kill-server'], { env })
    },
  }
}
