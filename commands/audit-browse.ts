import type { Config } from '@oclif/core/config'
import type { AuditEntry } from '../src/api/index.ts'
import { table, visible } from '../src/terminal.ts'
import { auditCells } from './audit-lines.ts'
import type { Surroundings } from './base.ts'

const CURSOR_COLUMNS = 2
const INTERRUPTED = 130

/**
 * Lets a person walk through what was found: each whole on demand, and the session of any of them replayed
 * from there. Returns the exit code.
 */
export async function browse(
  entries: readonly AuditEntry[],
  footer: string,
  server: string | undefined,
  { io, terminal, config }: Surroundings & { readonly config: Config },
): Promise<number> {
  const { showList } = await import('../src/ui/index.ts')
  const [title = '', ...lines] = table(
    ['TIME', 'USER', 'ON', 'VERDICT', 'SQL', 'ROWS'].map(name => ({
      title: name,
      flexible: name === 'SQL',
      ...(name === 'ROWS' ? { align: 'right' as const } : {}),
    })),
    entries.map(entry => auditCells(terminal, entry, io.now())),
    terminal.columns - CURSOR_COLUMNS,
  )
  const items = lines.map((line, index) => ({ line, details: detailsOf(entries[index]) }))
  let cursor = entries.length - 1
  for (;;) {
    const screen = { marks: terminal.marks, stdin: io.stdin, stderr: io.stderr }
    const choice = await showList({ title, items, footer, cursor, ...screen })
    if (choice.what !== 'replay') return choice.what === 'interrupt' ? INTERRUPTED : 0
    cursor = choice.index
    const entry = entries[cursor]
    if (entry === undefined) continue
    const { default: Replay } = await import('./replay.ts')
    const place = [entry.session, '--at', entry.id, '--paused']
    const given = [...place, ...(server === undefined ? [] : ['--server', server])]
    const code = await Replay.start(given, config, { io, terminal })
    if (code !== 0) return code
  }
}

/** The statement whole, then all else that is on record of it. */
function detailsOf(entry: AuditEntry | undefined): readonly string[] {
  if (entry === undefined) return []
  const sql = entry.sql.split(/\r\n|\n/).map(line => visible(line))
  const facts = Object.entries(entry.raw)
    .filter(([name, value]) => name !== 'sql' && name !== 'v' && value !== null)
    .map(([name, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value)
      return `${name.padEnd(14)} ${visible(text)}`
    })
  return [...sql, '', ...facts]
}
