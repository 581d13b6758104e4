import { string as arg } from '@oclif/core/args'
import { boolean, integer, string } from '@oclif/core/flags'
import { DbgateError } from '../src/errors.ts'
import { canDraw, visible } from '../src/terminal.ts'
import { connectionUrl, detectAgent, findRunning, type RunningTunnel } from '../src/tunnel/index.ts'
import { BaseCommand } from './base.ts'
import {
  type Stage,
  showJson,
  showLines,
  showPanelUntilStopped,
  withCommand,
} from './connect-modes.ts'
import { openConnection } from './connect-open.ts'
import { usage } from './report.ts'
import {
  dirsOf,
  findTarget,
  openSignedIn,
  parseTarget,
  runDirectory,
  type SignedIn,
  type UsableTarget,
} from './signed-in.ts'
import { span } from './times.ts'

const URL_NAME = 'DATABASE_URL'
const LOOPBACK = ['127.0.0.1', '::1', 'localhost']

type Flags = {
  readonly port: number | undefined
  readonly bind: string
  readonly role: string | undefined
  readonly db: string | undefined
  readonly env: readonly string[]
  readonly via: string | undefined
  readonly plain: boolean
  readonly 'print-url': boolean
  readonly json: boolean
  readonly quiet: boolean
  readonly 'no-input': boolean
}

export default class Connect extends BaseCommand {
  static override summary = 'open a local port to a target, and start something inside it'
  static override description =
    'The port speaks PostgreSQL and asks for the password in its URL, which is random, stays the same, and is worth nothing on another machine. It stays open while the server restarts or the network is away.\nA command after -- gets DATABASE_URL and the PG* variables, and its exit code is ours.'
  static override usage = 'connect TARGET [flags] [-- COMMAND ARGS...]'
  static override examples = [
    'dbgate connect prod',
    'dbgate connect prod -- psql',
    'dbgate connect prod -- npm run migrate',
    'dbgate connect prod --print-url > url.txt',
  ]
  static override strict = false
  static override args = {
    target: arg({ description: 'a name from dbgate ls, or name@server', required: true }),
  }
  static override flags = {
    port: integer({
      description: "this local port and no other; else the target's own or one nearby",
      min: 1,
      max: 65_535,
      helpValue: 'N',
    }),
    bind: string({
      description: 'address to listen on; others than loopback need --yes',
      default: '127.0.0.1',
      helpValue: 'ADDR',
    }),
    role: string({ description: 'a role to use instead of the strongest', helpValue: 'NAME' }),
    db: string({ description: "another database than the target's first", helpValue: 'NAME' }),
    env: string({
      description: `variable that gets the URL (${URL_NAME}); repeatable`,
      multiple: true,
      multipleNonGreedy: true,
      default: [URL_NAME],
      helpValue: 'NAME',
    }),
    via: string({ description: 'the tool at work, for the record', helpValue: 'NAME' }),
    'print-url': boolean({ description: 'the URL on stdout once the port is ready' }),
    plain: boolean({ description: 'lines instead of the panel' }),
    yes: boolean({ char: 'y', description: 'yes to what would be asked' }),
  }

  override async run(): Promise<void> {
    const at = this.argv.indexOf('--')
    const command = at < 0 ? [] : this.argv.slice(at + 1)
    // The words after -- are the command's; oclif would mix them with ours.
    const own = at < 0 ? this.argv : this.argv.slice(0, at)
    const { args, flags, argv } = await this.parse(Connect, own)
    if (at >= 0 && command.length === 0) throw usage('there is no command after --', 'connect')
    if (argv.length > 1) throw usage(`unexpected argument: ${argv[1]}`, 'connect')
    if (!LOOPBACK.includes(flags.bind) && !flags.yes) throw openToOthers(flags.bind)
    const { target: name, server } = parseTarget(args.target)
    const signedIn = await this.#signedIn(server ?? flags.server, flags)
    const target = await findTarget(signedIn, name)
    const directory = runDirectory(await dirsOf(this.io))
    const running = await findRunning(directory, signedIn.name, name)
    const isOther = flags.port !== undefined && flags.port !== running?.port
    if (running !== undefined && !isOther) {
      return this.#attach(running, signedIn, target, flags, command)
    }
    await this.#open(signedIn, target, flags, command, directory)
  }

  /** In a terminal, somebody who is not signed in is signed in first. */
  async #signedIn(server: string | undefined, flags: Flags): Promise<SignedIn> {
    const attempt = async (): Promise<SignedIn> => {
      const signedIn = await openSignedIn(this.io, server)
      await signedIn.signIn.current()
      return signedIn
    }
    try {
      return await attempt()
    } catch (error) {
      const isMissing = error instanceof DbgateError && error.code === 'UNAUTHORIZED'
      if (!isMissing || !this.mayAsk(flags)) throw error
      const { default: Login } = await import('./login.ts')
      const { io, terminal } = this
      await Login.start(server === undefined ? [] : [server], this.config, { io, terminal })
      return attempt()
    }
  }

  async #open(
    signedIn: SignedIn,
    target: UsableTarget,
    flags: Flags,
    command: readonly string[],
    directory: string,
  ): Promise<void> {
    const connection = await openConnection({
      io: this.io,
      terminal: this.terminal,
      signedIn,
      target,
      directory,
      role: flags.role,
      database: flags.db,
      host: flags.bind,
      port: flags.port,
      agent: flags.via ?? detectAgent(command[0], this.io.env),
    })
    try {
      await this.#stay({ io: this.io, terminal: this.terminal, flags, ...connection }, command)
    } finally {
      await connection.close()
    }
    const { startedAt } = connection.facts
    if (!flags.json && !flags.quiet) {
      this.terminal.say(`${visible(target.name)} closed after ${span(this.io.now() - startedAt)}`)
    }
  }

  async #stay(stage: Stage, command: readonly string[]): Promise<void> {
    const { flags } = stage
    const hasPanel = !flags.plain && canDraw(this.io.env, [this.io.stdin, this.io.stderr])
    const show = flags.json ? showJson : hasPanel ? showPanelUntilStopped : showLines
    this.finish(command.length > 0 ? await withCommand(stage, command) : await show(stage))
  }

  /** The port is open already: use it instead of opening another. */
  async #attach(
    running: RunningTunnel,
    signedIn: SignedIn,
    target: UsableTarget,
    flags: Flags,
    command: readonly string[],
  ): Promise<void> {
    const { terminal, io } = this
    const role = flags.role ?? target.role
    if (role !== running.role) {
      throw new DbgateError('USAGE', `${target.name} is open as ${running.role}`, {
        next: [
          `dbgate connect ${target.name} --role ${role} --port ${running.port + 10}`,
          `dbgate disconnect ${target.name}`,
        ],
      })
    }
    const password = await signedIn.localPassword()
    const database = flags.db ?? running.database
    const url = connectionUrl({ ...running, password, database }, running.port)
    const facts = {
      ...running,
      password,
      database,
      url,
      environment: target.environment,
      version: undefined,
    }
    if (command.length > 0) {
      const stage = {
        io,
        terminal,
        flags,
        facts,
        hear: () => {},
        stopped: new Promise<never>(() => {}),
      }
      this.finish(await withCommand(stage, command))
      return
    }
    const open = span(io.now() - running.startedAt)
    if (!flags.quiet) {
      terminal.say(
        `${visible(target.name)} is already open (pid ${running.pid}, ${open}); using it`,
      )
    }
    const answer = { target: target.name, role, url, port: running.port, pid: running.pid }
    this.result(flags.json, answer, () => terminal.out(url))
  }
}

function openToOthers(address: string): DbgateError {
  return new DbgateError('USAGE', `${address} lets other machines reach this port`, {
    detail: 'Whoever has the password would act as you, and the way there is not encrypted.',
    next: ['dbgate connect TARGET --bind ADDR --yes'],
  })
}
