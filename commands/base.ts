import { Command } from '@oclif/core/command'
import type { Config } from '@oclif/core/config'
import { boolean, string } from '@oclif/core/flags'
import { canDraw, type Terminal } from '../src/terminal.ts'
import type { Io } from './io.ts'

/** What a command runs with, made once by `main`. */
export type Surroundings = { readonly io: Io; readonly terminal: Terminal }

const helpGroup = 'GLOBAL'

/** The flags every command has; they stand in `baseFlags` and reach `run` with the command's own. */
export const GLOBAL_FLAGS = {
  server: string({
    description: 'which server; the last one signed in to if left out',
    helpValue: 'HOST',
    env: 'DBGATE_SERVER',
    helpGroup,
  }),
  json: boolean({ description: 'one JSON document on stdout and nothing else', helpGroup }),
  'no-input': boolean({ description: 'never ask; what is missing is an error', helpGroup }),
  quiet: boolean({ char: 'q', description: 'say less', helpGroup }),
  verbose: boolean({ char: 'v', description: 'say more, on stderr', helpGroup }),
  color: boolean({
    description: 'colours; NO_COLOR and FORCE_COLOR count too',
    allowNo: true,
    default: true,
    helpGroup,
  }),
}

/**
 * What all commands share. A command holds no logic of its own: flags in, one call, rendering out. It
 * throws; `main` is the one place that says what was thrown.
 */
export abstract class BaseCommand extends Command {
  static override baseFlags = GLOBAL_FLAGS
  #surroundings: Surroundings | undefined
  #exitCode = 0

  /** Runs the command and returns its exit code. Throws what the command throws. */
  static async start<T extends BaseCommand>(
    this: new (
      argv: string[],
      config: Config,
    ) => T,
    argv: readonly string[],
    config: Config,
    surroundings: Surroundings,
  ): Promise<number> {
    const command = new this([...argv], config)
    command.#surroundings = surroundings
    await command.run()
    return command.#exitCode
  }

  protected get io(): Io {
    return this.#made.io
  }

  protected get terminal(): Terminal {
    return this.#made.terminal
  }

  get #made(): Surroundings {
    if (this.#surroundings === undefined)
      throw new Error('a command is run through BaseCommand.start')
    return this.#surroundings
  }

  /** Ends with this exit code although nothing failed in dbgate, such as a child's own. */
  protected finish(exitCode: number): void {
    this.#exitCode = exitCode
  }

  /** Gives the result: as JSON in the one envelope, or as text. */
  protected result(isJson: boolean, data: unknown, text: () => void): void {
    if (isJson) this.terminal.out(JSON.stringify({ v: 1, ok: true, data }))
    else text()
  }

  /** True if a person is there who can be shown a screen. */
  protected mayDraw(flags: { readonly 'no-input': boolean; readonly json: boolean }): boolean {
    const { env, stdin, stderr } = this.io
    return this.mayAsk(flags) && canDraw(env, [stdin, stderr])
  }

  /** True if a person is there to be asked. */
  protected mayAsk(flags: { readonly 'no-input': boolean; readonly json: boolean }): boolean {
    const isOff = flags['no-input'] || flags.json || (this.io.env.DBGATE_NO_INPUT ?? '') !== ''
    return !isOff && this.io.stdin.isTTY === true && this.terminal.isSayTTY
  }
}
