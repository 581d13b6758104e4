import type { May } from '../config/index.ts'
import { DbgateError } from '../errors.ts'
import type { Analysis, Statement, SyntaxProblem } from '../sql/index.ts'
import { type Grant, isUnrestricted } from './grant.ts'

/**
 * What is decided about a text, and the rule that decided. Strictest wins over all statements of the text.
 * A `deny` carries the error that the person gets.
 */
export type Verdict =
  | { readonly outcome: 'allow'; readonly rule: string }
  | { readonly outcome: 'deny'; readonly rule: string; readonly error: DbgateError }

const ORDER: readonly May[] = ['read', 'write', 'ddl', 'admin']

/** A rule's name for what a role's ceiling decides. */
const CEILING = 'role'

/**
 * Judges an analysed text under a grant: pure, synchronous, total. What was not understood needs
 * everything, so only a role that may do everything gets it through.
 */
export function evaluate(grant: Grant, analysis: Analysis): Verdict {
  if (isUnrestricted(grant)) return { outcome: 'allow', rule: ruleOf(grant) }
  if (!analysis.ok) return denyUnread(grant, analysis.error)
  for (const statement of analysis.statements) {
    const missing = missingNeeds(grant, statement)
    if (missing.length > 0) return denyCeiling(grant, statement, missing)
  }
  return { outcome: 'allow', rule: ruleOf(grant) }
}

function ruleOf(grant: Grant): string {
  return `${CEILING}:${grant.role}`
}

function missingNeeds(grant: Grant, statement: Statement): readonly May[] {
  return ORDER.filter(need => statement.needs.includes(need) && !grant.may.includes(need))
}

/** A text with a syntax error is answered as PostgreSQL would; anything else unread is refused as such. */
function denyUnread(grant: Grant, problem: SyntaxProblem): Verdict {
  const error =
    problem.reason === 'syntax'
      ? new DbgateError('SYNTAX', problem.message)
      : new DbgateError(
          'DENIED',
          `dbgate: denied, this statement could not be understood (${problem.message}), and ${grant.target} refuses what it cannot read. Not run.`,
        )
  return { outcome: 'deny', rule: 'unknown', error }
}

function denyCeiling(grant: Grant, statement: Statement, missing: readonly May[]): Verdict {
  const what = missing.join(' and ')
  const because = statement.notUnderstood[0]
  const detail =
    because === undefined
      ? `${statement.kind} needs ${what}; role ${grant.role} may ${grant.may.join(', ')}.`
      : `${because}, so it needs ${what}; role ${grant.role} may ${grant.may.join(', ')}.`
  return {
    outcome: 'deny',
    rule: ruleOf(grant),
    error: new DbgateError(
      'DENIED',
      `dbgate: denied, you are ${grant.role} on ${grant.target} and ${statement.kind} needs ${what}. Not run; rewording it will not help. Next: ask for a role that may ${what}.`,
      { detail, hint: `See what your role may do: dbgate whoami` },
    ),
  }
}
