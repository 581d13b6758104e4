import type { AuditRecord, StatementRecord, Stored } from '../record/index.ts'

/** A statement or a denial: the same facts. */
export type Judged = Stored<Omit<StatementRecord, 'type'>> & {
  readonly type: 'statement' | 'denied'
}

/**
 * Whether a record has the parts the index takes from it. The log's own lines do; one that somebody edited
 * may not, and must not stop the others from being found.
 */
export function isJudged(record: Stored<AuditRecord>): record is Stored<AuditRecord> & Judged {
  if (record.type !== 'statement' && record.type !== 'denied') return false
  const { statements } = record
  return (
    hasTexts(record, 'session', 'user', 'agent', 'target', 'role') &&
    hasTexts(record, 'id', 'verdict', 'rule', 'text') &&
    Array.isArray(statements) &&
    statements.every(
      one =>
        hasTexts(one, 'kind', 'class') &&
        Array.isArray(one.relations) &&
        one.relations.every((relation: unknown) => hasTexts(relation, 'name')),
    )
  )
}

export function isSessionStart(record: Stored<AuditRecord>): boolean {
  return (
    record.type === 'session.start' &&
    hasTexts(record, 'session', 'agent', 'target', 'role') &&
    hasTexts(record, 'database', 'client', 'application') &&
    hasTexts(record.principal, 'user', 'name', 'issuer', 'subject')
  )
}

export function isCompletion(record: Stored<AuditRecord>): boolean {
  return (
    record.type === 'completed' &&
    hasTexts(record, 'id', 'outcome') &&
    hasNumbers(record, 'rows', 'bytes', 'durationUs')
  )
}

function hasTexts(value: unknown, ...names: readonly string[]): boolean {
  return names.every(name => typeof partOf(value, name) === 'string')
}

function hasNumbers(value: unknown, ...names: readonly string[]): boolean {
  return names.every(name => typeof partOf(value, name) === 'number')
}

function partOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return Reflect.get(value, name)
}
