import type { Node } from 'libpg-query'
import type { Parser } from './parser.ts'
import { readPlpgsqlTree } from './plpgsql.ts'
import { Findings, type RawStatement } from './raw.ts'
import type { SyntaxProblem } from './statement.ts'
import { CHANGE_VISITORS } from './visit-change.ts'
import { COMMAND_VISITORS } from './visit-command.ts'
import { DEFINITION_VISITORS } from './visit-definition.ts'
import { FUNCTION_VISITORS, noteFunctionBody } from './visit-function.ts'
import { QUERY_VISITORS } from './visit-query.ts'
import { SESSION_VISITORS } from './visit-session.ts'
import { type Surroundings, type Visitors, Walk } from './walk.ts'

/** What a text says by itself, before names of the session and the database are looked up. */
export type Reading =
  | { readonly ok: true; readonly statements: readonly RawStatement[] }
  | { readonly ok: false; readonly error: SyntaxProblem }

const VISITORS: Visitors = {
  ...QUERY_VISITORS,
  ...CHANGE_VISITORS,
  ...SESSION_VISITORS,
  ...COMMAND_VISITORS,
  ...DEFINITION_VISITORS,
  ...FUNCTION_VISITORS,
}

/** White space as PostgreSQL's scanner has it; other blanks of Unicode are letters to it. */
const OUTER_SPACE = /^[ \t\n\r\f\v]+|[ \t\n\r\f\v]+$/g

/**
 * Parses a text and walks every statement in it.
 *
 * Throws: ParserTrap when the parser broke, RangeError when the tree is too deep for this thread's
 * stack.
 */
export function readStatements(parser: Parser, text: Buffer): Reading {
  const parsed = parser.parse(text)
  if (!parsed.ok) {
    const { message, position } = parsed
    // Bison's own stack is full: nested deeper than any stack of ours would help with.
    const reason = message.startsWith('memory exhausted') ? 'too-deep' : 'syntax'
    return { ok: false, error: { message, position, reason } }
  }
  const statements = (parsed.tree.stmts ?? []).map(raw => {
    const start = raw.stmt_location ?? 0
    const bytes = text.subarray(start, raw.stmt_len ? start + raw.stmt_len : undefined)
    const found = new Findings()
    if (raw.stmt === undefined) found.refuse('an empty statement')
    else new Walk(found, surroundings(parser, bytes)).node(raw.stmt)
    return found.raw(bytes.toString().replace(OUTER_SPACE, ''), parser.fingerprint(bytes))
  })
  return { ok: true, statements }
}

/**
 * What can be read of texts that the database keeps: definitions of views, rules, functions,
 * defaults.
 */
export type StoredTexts = {
  /** Statements, as one. */
  readonly statements: (text: string) => RawStatement | undefined
  readonly expression: (text: string) => RawStatement | undefined
  /** The body of the function that CREATE FUNCTION makes. */
  readonly functionBody: (definition: string) => RawStatement | undefined
}

/**
 * Reads stored texts with a parser. Undefined is a text that can't be read.
 *
 * Throws: as readStatements.
 */
export function readStored(parser: Parser): StoredTexts {
  const walked = (text: string, walk: (node: Node, walk: Walk) => void) => {
    const bytes = Buffer.from(text)
    const nodes = parseNodes(parser, bytes)
    if (nodes === undefined) return undefined
    const found = new Findings()
    const walker = new Walk(found, surroundings(parser, bytes))
    for (const node of nodes) walk(node, walker)
    return found.raw('', '')
  }
  return {
    statements: text => walked(text, (node, walk) => walk.node(node)),
    expression: text => {
      const raw = walked(`SELECT ${text}`, (node, walk) => walk.node(node))
      // The SELECT was put there to parse it: by itself an expression reads nothing.
      return raw === undefined || raw.uses.length > 0 ? raw : { ...raw, kinds: [], needs: [] }
    },
    functionBody: definition =>
      walked(definition, (node, walk) => {
        if ('CreateFunctionStmt' in node) noteFunctionBody(node.CreateFunctionStmt, walk)
        else walk.found.refuse('a definition that is none of a function')
      }),
  }
}

function parseNodes(parser: Parser, bytes: Buffer): readonly Node[] | undefined {
  const parsed = parser.parse(bytes)
  return parsed.ok ? (parsed.tree.stmts ?? []).flatMap(raw => raw.stmt ?? []) : undefined
}

function surroundings(parser: Parser, statement: Buffer): Surroundings {
  return {
    visitors: VISITORS,
    parseBody: body => parseNodes(parser, Buffer.from(body)),
    parsePlpgsql: () => {
      const tree = parser.parsePlpgsql(statement)
      return tree === undefined ? undefined : readPlpgsqlTree(tree)
    },
  }
}
