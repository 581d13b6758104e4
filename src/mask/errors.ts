import { BackendTag, copyFrame, decodeErrorFields, type Frame } from '../wire/index.ts'
import { conditionOf } from './conditions.ts'

/** What is known of the statement that an error or notice answers. */
export type Sanitising = {
  /** Relations it is about, from the catalog, as people write them; never from the error itself. */
  readonly relationNames: readonly string[]
  /** It runs code of users: what that says can be anything it may read, the SQLSTATE included. */
  readonly runsCode: boolean
  /** It answers a Parse or Describe, which read no rows. False where that is not known. */
  readonly isParsing?: boolean
}

/** Conditions that code of users may raise to tell a value: they say nothing that a client needs. */
const RAISED = /^P0/
/** What a client acts on, whatever raised it: retry, reconnect, roll back, or leave it. */
const ACTED_ON = /^(?:40|57|25P0|55P03|08|53)/

/**
 * Class 42 without those that name values at run time only. A statement that can't be analysed is told by its
 * position in the text that the client sent: an error that a function raises while it runs has none, such as
 * 42P01 of `ssn::regclass`, which prints the value. What the analysis prints is the client's own text and names of
 * the catalog, never a row: no row is read before it is over. An error inside another text has `p`, `q` or `W`
 * (query_to_xml, a function's body), and is not told.
 */
const PARSE_ERRORS: ReadonlySet<string> = new Set(
  `42601 42846 42803 42P20 42P19 42804 42P18 42P21 42P22 428C9 42703 42883 42P01 42P02 42704 42701
   42702 42725 42P08 42P09 42P10 42611 42P16 42622 42939 42602`.split(/\s+/),
)

/** Errors whose words are fixed and help to tell what happened. Any other words are left out. */
const FIXED: ReadonlySet<string> = new Set([
  '57014 canceling statement due to statement timeout',
  '57014 canceling statement due to user request',
  '57014 canceling statement due to lock timeout',
  '57P01 terminating connection due to administrator command',
  '25P02 current transaction is aborted, commands ignored until end of transaction block',
  '40001 could not serialize access due to concurrent update',
  '40001 could not serialize access due to concurrent delete',
  '40001 could not serialize access due to read/write dependencies among transactions',
  '40P01 deadlock detected',
  '55P03 canceling statement due to lock timeout',
  '25P03 terminating connection due to idle-in-transaction timeout',
])

/**
 * An ErrorResponse as it may be shown for a statement that could touch confidential values; null for a notice,
 * which is dropped: nobody waits for one.
 *
 * Errors print values: of the row that breaks a constraint, of what can't be cast. Only what is listed goes on:
 * severity, a SQLSTATE that PostgreSQL knows, its name in words. Errors of the analysis go on as they are.
 *
 * Ownership: the bytes are a copy. Throws: PROTOCOL (08P01) for what can't be read.
 */
export function sanitised(frame: Frame, ask: Sanitising): Buffer | null {
  if (frame.tag !== BackendTag.ErrorResponse) return null
  const fields = decodeErrorFields(frame)
  const severity = severityOf(fields.get('V') ?? fields.get('S'))
  const code = fields.get('C') ?? ''
  if (isFreeOfValues(fields, code, ask)) return copyFrame(frame)
  const shown = shownCode(code, fields.has('W'), ask.runsCode)
  const text = `${shown} ${fields.get('M') ?? ''}`
  const message = FIXED.has(text) ? text.slice(6) : (conditionOf(shown) ?? 'internal error')
  return encode([
    ['S', severity],
    ['V', severity],
    ['C', shown],
    ['M', message],
    ['D', reason(ask.relationNames)],
    ['R', 'dbgate:sanitised'],
  ])
}

function isFreeOfValues(
  fields: ReadonlyMap<string, string>,
  code: string,
  ask: Sanitising,
): boolean {
  if (ask.runsCode || ['p', 'q', 'W'].some(field => fields.has(field))) return false
  if (fields.get('V') !== 'ERROR') return false
  return PARSE_ERRORS.has(code) && (fields.has('P') || ask.isParsing === true)
}

function severityOf(text: string | undefined): string {
  return text === 'FATAL' || text === 'PANIC' ? text : 'ERROR'
}

/** A code can tell as much as a message: code of users chooses among hundreds. */
function shownCode(code: string, hasContext: boolean, runsCode: boolean): string {
  if (conditionOf(code) === undefined || RAISED.test(code)) return 'XX000'
  return runsCode && hasContext && !ACTED_ON.test(code) ? 'XX000' : code
}

function reason(relationNames: readonly string[]): string {
  const of = relationNames.length === 0 ? '' : ` of ${relationNames.join(', ')}`
  return `dbgate left the server's own words out, because they could hold confidential values${of}.`
}

function encode(fields: readonly (readonly [code: string, text: string])[]): Buffer {
  const body = fields.map(([code, text]) => `${code}${text.replaceAll('\0', '\ufffd')}\0`).join('')
  const bytes = Buffer.from(`E\0\0\0\0${body}\0`, 'utf8')
  bytes.writeInt32BE(bytes.length - 1, 1)
  return bytes
}
