import { boolean } from '@oclif/core/flags'
import type { TargetAnswer } from '../src/api/index.ts'
import { table, visible } from '../src/terminal.ts'
import { listRunning, type RunningTunnel } from '../src/tunnel/index.ts'
import { BaseCommand } from './base.ts'
import { dirsOf, openSignedIn, runDirectory } from './signed-in.ts'

export default class Ls extends BaseCommand {
  static override summary = 'the targets that are open to you'
  static override examples = ['dbgate ls', 'dbgate ls --all', 'dbgate ls --plain | cut -f1']
  static override flags = {
    all: boolean({ description: 'also those that you can ask for' }),
    plain: boolean({ description: 'columns with tabs between, no header' }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(Ls)
    const { name, api } = await openSignedIn(this.io, flags.server)
    const [targets, running] = await Promise.all([
      api.targets(),
      listRunning(runDirectory(await dirsOf(this.io))),
    ])
    const rows = targets.map(target => ({ target, open: openHere(running, name, target) }))
    const answer = rows.map(({ target, open }) => ({
      name: target.name,
      title: target.title,
      role: target.role,
      may: target.may,
      local_port: target.localPort,
      environment: target.environment ?? null,
      database: target.database,
      open:
        open === undefined
          ? null
          : { pid: open.pid, port: open.port, clients: open.clients.length },
    }))
    const known = new Set(targets.map(target => target.name))
    const more = flags.all
      ? (await api.requestable()).filter(({ target }) => !known.has(target))
      : []
    const asked = more.map(({ target, role, isBreakGlass }) => ({
      name: target,
      role: null,
      ask: role,
      break_glass: isBreakGlass,
    }))
    this.result(flags.json, flags.all ? [...answer, ...asked] : answer, () => {
      if (flags.plain) this.#plain(rows)
      else this.#table(rows, name)
      for (const { target, role, isBreakGlass } of more) {
        const how = isBreakGlass ? ' --break-glass' : ''
        const text = `${target}  ask: dbgate request ${target} --role ${role}${how}`
        if (!flags.plain) this.terminal.say(`${visible(text)}`)
      }
    })
  }

  #plain(rows: readonly Row[]): void {
    for (const row of rows) this.terminal.out(cells(row).slice(1).join('\t'))
  }

  #table(rows: readonly Row[], server: string): void {
    const { terminal } = this
    if (rows.length === 0) {
      terminal.say(`No targets for you on ${server}.`)
      terminal.say(`${terminal.marks.next} ask your admin, or dbgate whoami`)
      return
    }
    const isProduction = (row: number): boolean => rows[row]?.target.environment === 'production'
    const paintName = (text: string, row: number): string =>
      isProduction(row) ? terminal.paintOut.red(text) : text
    const columns = [
      { title: '' },
      { title: 'NAME', paint: paintName },
      { title: 'YOU' },
      { title: 'PORT', align: 'right' as const },
      { title: 'WHAT', flexible: true },
      { title: 'STATE' },
    ]
    const lines = rows.map(row => [
      row.open === undefined ? '' : terminal.marks.live,
      ...cells(row).slice(1),
    ])
    for (const line of table(columns, lines, terminal.columns)) terminal.out(line)
  }
}

type Row = { readonly target: TargetAnswer; readonly open: RunningTunnel | undefined }

function cells({ target, open }: Row): readonly string[] {
  const clients = open?.clients.length ?? 0
  const state = open === undefined ? '' : `open here, ${clients} client${clients === 1 ? '' : 's'}`
  const what = target.title === '' ? target.database : target.title
  const port = String(open?.port ?? target.localPort)
  return ['', target.name, target.role, port, what, state].map(text => visible(text))
}

function openHere(
  running: readonly RunningTunnel[],
  server: string,
  target: TargetAnswer,
): RunningTunnel | undefined {
  return running.find(tunnel => tunnel.server === server && tunnel.target === target.name)
}
