import { boolean, string } from '@oclif/core/flags'
import type { ServeOptions } from '../src/serve.ts'
import { type Terminal, visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { version } from './package.ts'

const DEFAULT_CONFIG = '/etc/dbgate/dbgate.yaml'

export default class Serve extends BaseCommand {
  static override summary = 'run the server'
  static override description =
    'SIGHUP, or a change of a file, loads the configuration again; a bad one is logged and the old one stays. SIGTERM takes no new sessions and lets the running ones finish.\nThe log goes to stderr, as JSON where that is no terminal. It never holds tokens, parameters or rows.'
  static override examples = [
    'dbgate serve --config /etc/dbgate/dbgate.yaml',
    'dbgate serve --check          every problem of the configuration, nothing started',
  ]
  static override flags = {
    config: string({
      description: 'the server file',
      default: DEFAULT_CONFIG,
      env: 'DBGATE_CONFIG',
      helpValue: 'FILE',
    }),
    check: boolean({ description: 'only check the configuration' }),
    log: string({ description: 'how to log', options: ['text', 'json'], helpValue: 'text|json' }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(Serve)
    if (flags.check) return this.#check(flags.config, flags.json)
    const { io, terminal } = this
    const { serve } = await import('../src/serve.ts')
    const isText = flags.log === undefined ? terminal.isSayTTY && !flags.json : flags.log === 'text'
    const server = await serve({
      configPath: flags.config,
      version: version(),
      env: io.env,
      now: io.now,
      clock: () => performance.now(),
      randomBytes: io.random,
      log: isText ? textLog(this.terminal) : jsonLog(this.terminal, io.now),
    })
    if (server.isSelfSigned && isText) {
      terminal.say('its certificate is its own; people compare it once when they sign in:')
      terminal.say(`  dbgate login ${new URL(server.url).host} --fingerprint sha256:${server.pin}`)
    }
    const onHangup = (): void => {
      void server.reload()
    }
    io.signals.on('SIGHUP', onHangup)
    const signal = await firstSignal(io.signals)
    // A second signal means now: the default action is back.
    await server.close(signal)
    io.signals.off('SIGHUP', onHangup)
  }

  async #check(path: string, isJson: boolean): Promise<void> {
    const { loadServerConfig, formatProblem } = await import('../src/config/index.ts')
    const { config, policy, policyDigest, warnings } = await loadServerConfig(path, this.io.env)
    const answer = {
      url: config.url,
      targets: config.targets.map(target => target.name),
      roles: Object.keys(policy.roles),
      issuers: config.issuers.map(issuer => issuer.name),
      policy: policyDigest,
      warnings,
    }
    this.result(isJson, answer, () => {
      const { terminal } = this
      const { marks, paint } = terminal
      for (const warning of warnings) {
        for (const line of formatProblem(warning).split('\n')) {
          terminal.say(`${paint.yellow(marks.note)} ${visible(line)}`)
        }
      }
      terminal.out(`${terminal.paintOut.green(marks.ok)} ${visible(path)}`)
      terminal.out(`  ${visible(config.url)}, policy ${policyDigest.slice(0, 12)}`)
      terminal.out(`  targets  ${visible(answer.targets.join('  '))}`)
      terminal.out(`  roles    ${visible(answer.roles.join('  '))}`)
      terminal.out(`  issuers  ${visible(answer.issuers.join('  '))}`)
    })
  }
}

type Log = ServeOptions['log']

function jsonLog(terminal: Terminal, now: () => number): Log {
  return ({ level, event, message, fields }) => {
    const line = { t: new Date(now()).toISOString(), level, event, message, ...fields }
    terminal.say(JSON.stringify(line))
  }
}

function textLog(terminal: Terminal): Log {
  const { marks, paint } = terminal
  const tones = {
    info: `${marks.dot}`,
    warn: paint.yellow(marks.note),
    error: paint.red(marks.no),
  }
  return ({ level, message, fields }) => {
    const cause = typeof fields?.cause === 'string' ? ` (${fields.cause})` : ''
    terminal.say(`${tones[level]} ${visible(message + cause)}`)
  }
}

/** Resolves with the first SIGTERM or SIGINT; after that both do again what they do by default. */
function firstSignal(signals: NodeJS.Process): Promise<string> {
  return new Promise(resolve => {
    const listeners = (['SIGTERM', 'SIGINT'] as const).map(signal => {
      const listener = (): void => {
        for (const [name, each] of listeners) signals.off(name, each)
        resolve(signal)
      }
      signals.on(signal, listener)
      return [signal, listener] as const
    })
  })
}
