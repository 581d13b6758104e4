import { randomBytes } from 'node:crypto'
import { homedir } from 'node:os'
import type { ReadStream, WriteStream } from 'node:tty'

/**
 * The process as the commands see it, in one value: the only place of the command line that reads the
 * clock, chance, the environment and the standard streams.
 */
export type Io = {
  readonly stdin: ReadStream
  readonly stdout: WriteStream
  readonly stderr: WriteStream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly home: string
  readonly platform: NodeJS.Platform
  readonly pid: number
  readonly signals: NodeJS.Process
  readonly now: () => number
  readonly random: (bytes: number) => Buffer
}

/** The real process. */
export function processIo(): Io {
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    home: homedir(),
    platform: process.platform,
    pid: process.pid,
    signals: process,
    now: Date.now,
    random: randomBytes,
  }
}
