import type { Config } from '@oclif/core/config'
import type { BaseCommand } from './base.ts'

/** One command: its line in the root help, where it stands there, and how to load it. */
export type CommandEntry = {
  readonly group: 'every day' | 'looking back' | 'running it'
  readonly load: () => Promise<CommandClass>
}

/** What every command module exports as its default, and the one way to start it. */
export type CommandClass = typeof BaseCommand &
  (new (
    argv: string[],
    config: Config,
  ) => BaseCommand)

const entry = (
  group: CommandEntry['group'],
  load: () => Promise<{ readonly default: unknown }>,
): CommandEntry => ({ group, load: async () => (await load()).default as CommandClass })

/**
 * The table of contents of the command line. Nothing is loaded before it is asked for, so that `--help`
 * and `ls` start without the weight of the others.
 */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  login: entry('every day', () => import('./login.ts')),
  logout: entry('every day', () => import('./logout.ts')),
  whoami: entry('every day', () => import('./whoami.ts')),
  ls: entry('every day', () => import('./ls.ts')),
  connect: entry('every day', () => import('./connect.ts')),
  sql: entry('every day', () => import('./sql.ts')),
  request: entry('every day', () => import('./request.ts')),
  requests: entry('every day', () => import('./requests.ts')),
  'requests review': entry('every day', () => import('./requests-review.ts')),
  'requests show': entry('every day', () => import('./requests-show.ts')),
  'requests wait': entry('every day', () => import('./requests-wait.ts')),
  'requests withdraw': entry('every day', () => import('./requests-withdraw.ts')),
  approve: entry('every day', () => import('./approve.ts')),
  deny: entry('every day', () => import('./deny.ts')),
  status: entry('every day', () => import('./status.ts')),
  disconnect: entry('every day', () => import('./disconnect.ts')),
  replay: entry('looking back', () => import('./replay.ts')),
  sessions: entry('looking back', () => import('./sessions.ts')),
  'sessions show': entry('looking back', () => import('./sessions-show.ts')),
  'sessions end': entry('looking back', () => import('./sessions-end.ts')),
  'sessions watch': entry('looking back', () => import('./sessions-watch.ts')),
  'audit search': entry('looking back', () => import('./audit-search.ts')),
  'audit tail': entry('looking back', () => import('./audit-tail.ts')),
  'audit export': entry('looking back', () => import('./audit-export.ts')),
  'audit reindex': entry('looking back', () => import('./audit-reindex.ts')),
  'audit verify': entry('looking back', () => import('./audit-verify.ts')),
  'grants ls': entry('running it', () => import('./grants-ls.ts')),
  'grants end': entry('running it', () => import('./grants-end.ts')),
  'policy check': entry('running it', () => import('./policy-check.ts')),
  'policy test': entry('running it', () => import('./policy-test.ts')),
  'policy diff': entry('running it', () => import('./policy-diff.ts')),
  'policy explain': entry('running it', () => import('./policy-explain.ts')),
  'policy accept-labels': entry('running it', () => import('./policy-accept-labels.ts')),
  harden: entry('running it', () => import('./harden.ts')),
  doctor: entry('running it', () => import('./doctor.ts')),
  serve: entry('running it', () => import('./serve.ts')),
  'serve schema': entry('running it', () => import('./serve-schema.ts')),
  demo: entry('running it', () => import('./demo.ts')),
}
