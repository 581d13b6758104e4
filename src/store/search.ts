import { hash } from 'node:crypto'
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { parseQuery, type Term } from './query.ts'
import type { AuditRow, SearchOptions } from './rows.ts'
import { LARGE_ROWS } from './schema.ts'
import { EVERY, factToken, wordsOf } from './tokens.ts'

const DEFAULT_LIMIT = 50

type Value = string | number
/** Conditions of a WHERE clause with their values, in order. */
type Filter = { readonly conditions: string[]; readonly values: Value[] }

/** Registers what the queries below call. */
export function prepareSearch(db: DatabaseSync): void {
  db.function('contains', { deterministic: true }, (text, part) =>
    foldText(String(text)).includes(String(part)) ? 1 : 0,
  )
}

/**
 * The newest statements that fit, in the order of their records.
 *
 * Throws: USAGE (22023) the query cannot be read.
 */
export function search(db: DatabaseSync, query: string, options: SearchOptions): AuditRow[] {
  const terms = parseQuery(query)
  const filter: Filter = { conditions: [], values: [] }
  const match = matchOf(terms, options.onlyUser)
  if (match !== undefined) add(filter, 'words MATCH ?', match)
  const number = match === undefined ? 's.n' : 'words.rowid'
  addSpan(db, filter, number, options)
  if (options.onlyUser !== undefined) add(filter, 'e.user = ?', options.onlyUser)
  for (const term of terms) addTerm(filter, term)
  // The index comes first and in the order of the result, so that it stops at the limit.
  const large = terms.some(wantsLarge) ? 'INDEXED BY statements_large' : ''
  if (match === undefined && large !== '') add(filter, `s.rows >= ${LARGE_ROWS}`)
  const from =
    match === undefined
      ? `statements s ${large} CROSS JOIN sessions e ON e.number = s.session`
      : 'words CROSS JOIN statements s ON s.n = words.rowid CROSS JOIN sessions e ON e.number = s.session'
  const where = filter.conditions.length === 0 ? '' : `WHERE ${filter.conditions.join(' AND ')}`
  const sql = `SELECT s.*, e.id AS session_id, e.user, e.via, e.target, e.role, e.application,
    e.address FROM ${from} ${where} ORDER BY ${number} DESC LIMIT ?`
  const rows = db.prepare(sql).all(...filter.values, options.limit ?? DEFAULT_LIMIT)
  return rows.reverse().map(auditRow)
}

function wantsLarge(term: Term): boolean {
  if (term.is !== 'number' || term.key !== 'rows' || term.isNegated) return false
  return term.comparison !== '<' && term.comparison !== '<=' && term.value >= LARGE_ROWS
}

function add(filter: Filter, condition: string, ...values: readonly Value[]): void {
  filter.conditions.push(condition)
  filter.values.push(...values)
}

/**
 * The full-text expression for all terms it can decide, or undefined where it can decide none. Text that
 * takes more than one word is narrowed down by it and decided by `contains`.
 */
function matchOf(terms: readonly Term[], onlyUser: string | undefined): string | undefined {
  const wanted = terms.filter(term => !term.isNegated).flatMap(clauseOf)
  if (onlyUser !== undefined) wanted.push(quote(factToken('user', onlyUser)))
  const unwanted = terms.filter(term => term.isNegated && isExact(term)).flatMap(clauseOf)
  if (wanted.length === 0 && unwanted.length === 0) return undefined
  const all = wanted.length === 0 ? quote(EVERY) : wanted.join(' AND ')
  return unwanted.length === 0 ? all : `(${all}) NOT (${unwanted.join(' OR ')})`
}

function clauseOf(term: Term): string[] {
  if (term.is === 'text')
    return isWithin(term.text) ? [] : wordsOf(plain(term.text)).map(startsWith)
  if (term.is !== 'fact') return []
  const alternatives = term.values.map(value => {
    if (value.endsWith('*')) return `${quote(factToken(term.key, value.slice(0, -1)))}*`
    const token = quote(factToken(term.key, value))
    // Any beginning of a session's id will do.
    return term.key === 'session' ? `${token}*` : token
  })
  return [`(${alternatives.join(' OR ')})`]
}

/** One letter begins too many words to be worth more than itself. */
function startsWith(word: string): string {
  return word.length < 2 ? quote(word) : `${quote(word)}*`
}

function quote(token: string): string {
  return `"${token.replaceAll('"', '""')}"`
}

/** Whether the full-text index alone decides a term. */
function isExact(term: Term): boolean {
  if (term.is !== 'text') return term.is === 'fact'
  return !isWithin(term.text) && /^[\p{L}\p{M}\p{N}_$]{2,64}$/u.test(plain(term.text))
}

/** `*x` looks for x within words too, which takes reading every statement that fits otherwise. */
function isWithin(text: string): boolean {
  return text.startsWith('*')
}

/** Without the stars: one at the end says "and whatever follows", which is so anyway. */
function plain(text: string): string {
  return text.replace(/^\*/, '').replace(/\*$/, '')
}

function addTerm(filter: Filter, term: Term): void {
  const not = term.isNegated ? 'NOT ' : ''
  if (term.is === 'text' && !isExact(term)) {
    addText(filter, not, plain(term.text))
  }
  if (term.is === 'column') {
    const places = term.values.map(() => '?').join(', ')
    add(filter, `${not}coalesce(s.${term.key} IN (${places}), 0)`, ...term.values)
  }
  if (term.is === 'number') {
    const [column, value] =
      term.key === 'rows' ? ['rows', term.value] : ['duration_us', term.value * 1000]
    add(filter, `${not}coalesce(s.${column} ${term.comparison} ?, 0)`, value)
  }
}

/** SQLite's own LIKE is several times faster where it does the same: it folds ASCII only. */
function addText(filter: Filter, not: string, text: string): void {
  if (/^[!-~]*$/.test(text)) {
    const pattern = `%${text.replace(/[\\%_]/g, '\\$&')}%`
    add(filter, `${not}s.sql LIKE ? ESCAPE '\\'`, pattern)
  } else {
    add(filter, `${not}contains(s.sql, ?)`, foldText(text))
  }
}

/** Upper and lower case and the amount of white space make no difference. */
function foldText(text: string): string {
  return text.toLowerCase().replace(/\s+/g, ' ')
}

/** A time range, as such and as the range of records that it can touch at all. */
function addSpan(
  db: DatabaseSync,
  filter: Filter,
  number: 's.n' | 'words.rowid',
  { since, until }: SearchOptions,
): void {
  if (since !== undefined) {
    const span = db.prepare('SELECT min(first_n) AS n FROM spans WHERE max_t >= ?').get(since)
    add(filter, `${number} >= ? AND s.t >= ?`, numberOr(span?.n, Number.MAX_SAFE_INTEGER), since)
  }
  if (until !== undefined) {
    const span = db.prepare('SELECT max(last_n) AS n FROM spans WHERE min_t <= ?').get(until)
    add(filter, `${number} <= ? AND s.t <= ?`, numberOr(span?.n, 0), until)
  }
}

function numberOr(value: SQLOutputValue | undefined, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise
}

type Columns = Record<string, SQLOutputValue>

function auditRow(row: Columns): AuditRow {
  const sql = text(row, 'sql')
  const session = text(row, 'session_id')
  const micros = maybeNumber(row, 'duration_us')
  return {
    v: 1,
    n: Number(row.n),
    id: `${session}.${Number(row.counter)}`,
    t: new Date(Number(row.t)).toISOString(),
    user: text(row, 'user'),
    via: text(row, 'via'),
    target: text(row, 'target'),
    role: text(row, 'role'),
    session,
    class: text(row, 'class'),
    kind: text(row, 'kind'),
    tables: JSON.parse(text(row, 'tables')),
    sql,
    sql_sha256: hash('sha256', sql, 'hex'),
    verdict: text(row, 'verdict'),
    rule: text(row, 'rule'),
    outcome: maybeText(row, 'outcome'),
    rows: maybeNumber(row, 'rows'),
    bytes: maybeNumber(row, 'bytes'),
    ms: micros === null ? null : micros / 1000,
    sqlstate: maybeText(row, 'sqlstate'),
    client: maybeText(row, 'application'),
    ip: hostOf(maybeText(row, 'address')),
    sha256: text(row, 'sha256'),
  }
}

/** A column's text; the schema has none that are null. */
export function text(row: Columns, name: string): string {
  return String(row[name])
}

export function maybeText(row: Columns, name: string): string | null {
  const value = row[name]
  return typeof value === 'string' ? value : null
}

function maybeNumber(row: Columns, name: string): number | null {
  const value = row[name]
  return typeof value === 'number' ? value : null
}

/** The host of `host:port`, also of `[::1]:5432`. */
export function hostOf(address: string | null): string | null {
  if (address === null) return null
  return /^\[(.*)\](?::\d+)?$/.exec(address)?.[1] ?? address.replace(/:\d+$/, '')
}
