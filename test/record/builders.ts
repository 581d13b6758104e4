import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type {
  AuditRecord,
  LogEntry,
  SessionFacts,
  StatementFacts,
  Stored,
} from '../../src/record/index.ts'
import { readRecords } from '../../src/record/index.ts'

/** A directory that is gone when the scope is left. */
export function temporaryDirectory(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'dbgate-record-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** A session of Ana's on prod. */
export function sessionFacts(id = 's-8k2m4q', more: Partial<SessionFacts> = {}): SessionFacts {
  return {
    id,
    principal: {
      issuer: 'https://id.example',
      subject: '42',
      user: 'ana@acme.dev',
      name: 'Ana',
      groups: ['dev'],
    },
    agent: 'psql',
    target: 'prod',
    role: 'reader',
    database: 'app',
    client: '10.0.0.7:51000',
    application: 'psql',
    ...more,
  }
}

/** An allowed SELECT with the given text. */
export function selectFacts(text: string, more: Partial<StatementFacts> = {}): StatementFacts {
  return {
    protocol: 'simple',
    text,
    statements: [{ kind: 'SELECT', class: 'read', relations: [] }],
    verdict: 'allow',
    rule: 'role reader may read',
    ...more,
  }
}

export const ok = { outcome: 'ok', rows: 1, bytes: 10, durationUs: 100 } as const

export async function entriesOf(dir: string): Promise<LogEntry[]> {
  const entries: LogEntry[] = []
  for await (const entry of readRecords(dir)) entries.push(entry)
  return entries
}

export async function recordsOf(dir: string): Promise<Stored<AuditRecord>[]> {
  return (await entriesOf(dir)).map(entry => entry.record)
}

/** Calls `look` until it returns something, for at most `limitMs`. */
export async function eventually<T>(look: () => T | undefined, limitMs = 5000): Promise<T> {
  const deadline = Date.now() + limitMs
  for (;;) {
    const found = look()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`nothing after ${limitMs} ms`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
