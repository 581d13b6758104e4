import { hash } from 'node:crypto'
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { parseQuery, type Term } from './query.ts'
import type { AuditRow, SearchCounts, SearchOptions } from './rows.ts'
import { LARGE_ROWS } from './schema.ts'
import { EVERY, factToken, wordsOf } from './tokens.ts'

const DEFAULT_LIMIT = 50
/** Beyond this nobody needs to know how many there are, and counting would take seconds. */
const MAX_COUNTED = 2000

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
 * The newest statements that fit, in the order of their records; with `after`, the oldest that follow it.
 *
 * Throws: USAGE (22023) the query cannot be read.
 */
export function search(db: DatabaseSync, query: string, options: SearchOptions): AuditRow[] {
  const { from, where, number, values } = plan(db, parseQuery(query), options)
  const isOnward = options.after !== undefined
  const sql = `SELECT s.*, e.id AS session_id, e.user, e.via, e.target, e.role, e.application,
    e.address, r.state AS request_state, r.approved_by FROM ${from}
    LEFT JOIN requests r ON r.id = s.request ${where}
    ORDER BY ${number} ${isOnward ? 'ASC' : 'DESC'} LIMIT ?`
  const rows = db.prepare(sql).all(...values, options.limit ?? DEFAULT_LIMIT)
  if (!isOnward) rows.reverse()
  return rows.map(auditRow)
}

/**
 * Counts what `search` with the same question would find without its limit.
 *
 * Throws: USAGE (22023) the query cannot be read.
 */
export function count(db: DatabaseSync, query: string, options: SearchOptions): SearchCounts {
  const terms = parseQuery(query)
  const counted = (some: readonly Term[]): number => {
    const { from, where, values } = plan(db, some, { ...options, hideBackground: false })
    const sql = `SELECT count(*) AS value FROM (SELECT 1 FROM ${from} ${where} LIMIT ?)`
    return Number(db.prepare(sql).get(...values, MAX_COUNTED)?.value ?? 0)
  }
  const isHiding = hides(terms, options)
  return {
    matches: counted(isHiding ? [...terms, FOREGROUND] : terms),
    hidden: isHiding ? counted([...terms, BACKGROUND]) : 0,
    total: options.only === undefined ? countAll(db, options) : counted([]),
    limit: MAX_COUNTED,
  }
}

/** All statements of a time: spans that lie within it are counted already. */
function countAll(db: DatabaseSync, { since = 0, until = Number.MAX_SAFE_INTEGER }: SearchOptions) {
  const one = (sql: string, ...values: number[]) =>
    Number(db.prepare(sql).get(...values)?.value ?? 0)
  const whole = one(
    'SELECT sum(count) AS value FROM spans WHERE min_t >= ? AND max_t <= ?',
    ...[since, until],
  )
  const partly = one(
    `SELECT count(*) AS value FROM spans p JOIN statements s ON s.n BETWEEN p.first_n AND p.last_n
      WHERE p.max_t >= ? AND p.min_t <= ? AND NOT (p.min_t >= ? AND p.max_t <= ?)
      AND s.t BETWEEN ? AND ?`,
    ...[since, until, since, until, since, until],
  )
  return whole + partly
}

const BACKGROUND: Term = { is: 'column', isNegated: false, key: 'background', values: ['1'] }
const FOREGROUND: Term = { is: 'column', isNegated: false, key: 'background', values: ['0'] }

function hides(terms: readonly Term[], { hideBackground = false }: SearchOptions): boolean {
  return hideBackground && !terms.some(term => term.is === 'column' && term.key === 'background')
}

type Plan = {
  readonly from: string
  readonly where: string
  readonly number: 's.n' | 'words.rowid'
  readonly values: readonly Value[]
}

/** The index comes first and in the order of the result, so that a query stops at its limit. */
function plan(db: DatabaseSync, asked: readonly Term[], options: SearchOptions): Plan {
  const terms = hides(asked, options) ? [...asked, FOREGROUND] : asked
  const filter: Filter = { conditions: [], values: [] }
  const match = matchOf(terms)
  if (match !== undefined) add(filter, 'words MATCH ?', match)
  const number = match === undefined ? 's.n' : 'words.rowid'
  addSpan(db, filter, number, options)
  const { only, after } = options
  if (after !== undefined) add(filter, `${number} > ?`, after)
  if (only !== undefined) {
    add(filter, 'e.issuer = ? AND e.subject = ?', only.issuer, only.subject)
  }
  for (const term of terms) addTerm(filter, term)
  const where = filter.conditions.length === 0 ? '' : `WHERE ${filter.conditions.join(' AND ')}`
  const { values } = filter
  const session = 'CROSS JOIN sessions e ON e.number = s.session'
  if (match !== undefined) {
    const from = `words CROSS JOIN statements s ON s.n = words.rowid ${session}`
    return { from, where, number, values }
  }
  const [index, condition] = partialIndex(terms)
  const from = `statements s ${index} ${session}`
  const both = condition === '' ? where : `${where} AND ${condition}`
  return { from, where: both, number, values }
}

/** The small index that has all that can fit, where there is one, and the condition SQLite wants to see. */
function partialIndex(terms: readonly Term[]): readonly [string, string] {
  if (terms.some(wantsLarge)) return ['INDEXED BY statements_large', `s.rows >= ${LARGE_ROWS}`]
  const isBackground = terms.some(
    term =>
      !term.isNegated &&
      term.is === 'column' &&
      term.key === 'background' &&
      !term.values.includes('0'),
  )
  const isMasked = terms.some(
    term => !term.isNegated && term.is === 'column' && term.key === 'masked',
  )
  if (isMasked) return ['INDEXED BY statements_masked', 's.masked IS NOT NULL']
  return isBackground ? ['INDEXED BY statements_background', 's.background = 1'] : ['', '']
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
function matchOf(terms: readonly Term[]): string | undefined {
  const wanted = terms.filter(term => !term.isNegated).flatMap(clauseOf)
  const unwanted = terms.filter(term => term.isNegated && isExact(term)).flatMap(clauseOf)
  if (wanted.length === 0 && unwanted.length === 0) return undefined
  const all = wanted.length === 0 ? quote(EVERY) : wanted.join(' AND ')
  return unwanted.length === 0 ? all : `(${all}) NOT (${unwanted.join(' OR ')})`
}

function clauseOf(term: Term): string[] {
  if (term.is === 'text')
    return isWithin(term.text) ? [] : wordsOf(plain(term.text)).map(startsWith)
  if (term.is === 'column' && term.key === 'id')
    return [`(${term.values.map(sessionOf).join(' OR ')})`]
  if (term.is !== 'fact') return []
  const alternatives = term.values.map(value => {
    if (value.endsWith('*')) return `${quote(factToken(term.key, value.slice(0, -1)))}*`
    const token = quote(factToken(term.key, value))
    // Any beginning of a session's id will do.
    return term.key === 'session' ? `${token}*` : token
  })
  return [`(${alternatives.join(' OR ')})`]
}

/** The session that a statement's id names. */
function sessionOf(id: string): string {
  return quote(factToken('session', id.slice(0, Math.max(id.lastIndexOf('.'), 0))))
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
    if (term.key === 'background') {
      add(filter, `${not}s.background IN (${places})`, ...term.values.map(Number))
      return
    }
    if (term.key === 'masked') {
      const each = term.values.map(() => MASKED).join(' OR ')
      const patterns = term.values.flatMap(maskedPatterns)
      add(filter, `${not}coalesce(s.masked IS NOT NULL AND (${each}), 0)`, ...patterns)
      return
    }
    if (term.key === 'id') {
      add(filter, `${not}(e.id || '.' || s.counter) IN (${places})`, ...term.values)
      return
    }
    add(filter, `${not}coalesce(s.${term.key} IN (${places}), 0)`, ...term.values)
  }
  if (term.is === 'number') {
    const [column, value] =
      term.key === 'rows' ? ['rows', term.value] : ['duration_us', term.value * 1000]
    add(filter, `${not}coalesce(s.${column} ${term.comparison} ?, 0)`, value)
  }
}

const MASKED = "s.masked LIKE ? ESCAPE '\\' OR s.masked LIKE ? ESCAPE '\\'"

/** A column by its whole name, or without what stands before a dot; `*` for any. */
function maskedPatterns(value: string): string[] {
  if (value === '*') return ['%', '%']
  const name = JSON.stringify(value)
    .slice(1, -1)
    .replace(/[\\%_]/g, '\\$&')
  return [`%"${name}"%`, `%.${name}"%`]
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
    background: row.background === 1,
    request: maybeText(row, 'request'),
    request_state: maybeText(row, 'request_state'),
    approved_by: JSON.parse(maybeText(row, 'approved_by') ?? '[]'),
    masked: JSON.parse(maybeText(row, 'masked') ?? '[]'),
    outcome: maybeText(row, 'outcome'),
    rows: maybeNumber(row, 'rows'),
    bytes: maybeNumber(row, 'bytes'),
    ms: micros === null ? null : micros / 1000,
    sqlstate: maybeText(row, 'sqlstate'),
    client: maybeText(row, 'application'),
    ip: hostOf(maybeText(row, 'address')),
    sha256: row.sha256 instanceof Uint8Array ? Buffer.from(row.sha256).toString('hex') : '',
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
