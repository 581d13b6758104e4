import { Facts } from './facts.ts'
import type { Parser } from './parser.ts'
import type { Statement, SyntaxProblem } from './statement.ts'
import { COMMAND_VISITORS } from './visit-command.ts'
import { DEFINITION_VISITORS } from './visit-definition.ts'
import { QUERY_VISITORS } from './visit-query.ts'
import { SESSION_VISITORS } from './visit-session.ts'
import { BUILTIN_NAMES, type Surroundings, type Visitors, Walk } from './walk.ts'

/** What a text says by itself, before names of the session and a catalog are looked up. */
export type Reading =
  | { readonly ok: true; readonly statements: readonly Statement[] }
  | { readonly ok: false; readonly error: SyntaxProblem }

const VISITORS: Visitors = {
  ...QUERY_VISITORS,
  ...SESSION_VISITORS,
  ...COMMAND_VISITORS,
  ...DEFINITION_VISITORS,
}

/** White space as PostgreSQL's scanner has it; other blanks of Unicode are letters to it. */
const OUTER_SPACE = /^[ \t\n\r\f\v]+|[ \t\n\r\f\v]+$/g

/**
 * Parses a text and walks every statement in it.
 *
 * Throws: ParserTrap when the parser broke, RangeError when the tree is too deep for this thread's stack.
 */
export function readStatements(parser: Parser, text: Buffer): Reading {
  const parsed = parser.parse(text)
  if (!parsed.ok) {
    const { message, position } = parsed
    // Bison's own stack is full: nested deeper than any stack of ours would help with.
    const reason = message.startsWith('memory exhausted') ? 'too-deep' : 'syntax'
    return { ok: false, error: { message, position, reason } }
  }
  const around = surroundings(parser)
  const statements = (parsed.tree.stmts ?? []).map(raw => {
    const facts = new Facts()
    if (raw.stmt === undefined) facts.refuse('an empty statement')
    else new Walk(facts, around).node(raw.stmt)
    const start = raw.stmt_location ?? 0
    const bytes = text.subarray(start, raw.stmt_len ? start + raw.stmt_len : undefined)
    return facts.finish(bytes.toString().replace(OUTER_SPACE, ''), parser.fingerprint(bytes))
  })
  return { ok: true, statements }
}

function surroundings(parser: Parser): Surroundings {
  return {
    names: BUILTIN_NAMES,
    visitors: VISITORS,
    parseBody: body => {
      const parsed = parser.parse(Buffer.from(body))
      if (!parsed.ok) return undefined
      return (parsed.tree.stmts ?? []).flatMap(raw => raw.stmt ?? [])
    },
  }
}
