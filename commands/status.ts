import { table, visible } from '../src/terminal.ts'
import { listRunning } from '../src/tunnel/index.ts'
import { BaseCommand } from './base.ts'
import { dirsOf, runDirectory } from './signed-in.ts'
import { span } from './times.ts'

export default class Status extends BaseCommand {
  static override summary = 'the tunnels that run on this machine'
  static override examples = ['dbgate status', 'dbgate status --json']
  static override flags = {}

  override async run(): Promise<void> {
    const { flags } = await this.parse(Status)
    const { terminal, io } = this
    const running = await listRunning(runDirectory(await dirsOf(io)))
    const answer = running.map(({ startedAt, ...tunnel }) => ({
      ...tunnel,
      started_at: new Date(startedAt).toISOString(),
    }))
    this.result(flags.json, answer, () => {
      if (running.length === 0) terminal.say('No tunnel is open here.')
      const columns = ['NAME', 'YOU', 'LOCAL', 'SERVER', 'OPEN', 'CLIENTS', 'PID']
      const rows = running.map(tunnel => [
        visible(tunnel.target),
        visible(tunnel.role),
        `${tunnel.host}:${tunnel.port}`,
        visible(tunnel.server),
        span(io.now() - tunnel.startedAt),
        String(tunnel.clients.length),
        String(tunnel.pid),
      ])
      if (rows.length === 0) return
      const lines = table(
        columns.map(title => ({ title })),
        rows,
        terminal.columns,
      )
      for (const line of lines) terminal.out(line)
    })
  }
}
