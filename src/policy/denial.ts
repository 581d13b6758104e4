/**
 * What people read when a statement is refused. Everything that matters stands in the one line of the message,
 * since most drivers pass on nothing else: what happened, that nothing ran, what to do next.
 */
import type { May } from '../config/index.ts'
import { DbgateError } from '../errors.ts'
import type { SyntaxProblem } from '../sql/index.ts'
import type { Grant } from './grant.ts'
import type { Rule } from './rule.ts'
import type { Subject } from './subject.ts'

/** By a rule, in the policy's own words. `matched` are the facts it went by. */
export function deniedByRule({ name, source }: Rule, matched: string): DbgateError {
  const { say, next } = source
  const why = say === undefined ? '.' : `: ${sentence(say)}`
  const then =
    next === undefined ? 'Not run; rewording it will not help.' : `Not run. Next: ${next}`
  return new DbgateError('DENIED', `dbgate: denied by rule ${name}${why} ${then}`, {
    detail: `Rule ${name} (${placeOf(source.at)}): ${matched}.`,
  })
}

/** By the role's ceiling. `next` is a command that gets a role that may, if there is one. */
export function deniedByRole(
  grant: Grant,
  subject: Subject,
  missing: readonly May[],
  next: string | undefined,
): DbgateError {
  const what = missing.join(' and ')
  const todo = next ?? `ask your admin for a role that may ${what}.`
  const kind = subject.acts.kind === '' ? 'it' : subject.acts.kind.replaceAll('_', ' ')
  const may = grant.may.length === 0 ? 'nothing' : grant.may.join(', ')
  return new DbgateError(
    'DENIED',
    `dbgate: denied, you are ${grant.role} on ${grant.target}. Not run. Next: ${todo}`,
    {
      detail: `${kind} needs ${what}; role ${grant.role} may ${may}.`,
      ...(next === undefined ? {} : { next: [next] }),
    },
  )
}

/** A text that is not SQL is answered as PostgreSQL would. */
export function notSql(problem: SyntaxProblem): DbgateError {
  return new DbgateError('SYNTAX', problem.message)
}

/** By `unknown:`. `rule` is one that may be about what could not be read, if that is why. */
export function deniedUnknown(
  { target }: Grant,
  subject: Subject,
  rule: Rule | undefined,
): DbgateError {
  const refuses = `and ${target} refuses what it cannot read. Not run.`
  const about = rule === undefined ? '' : ` Rule ${rule.name} may be about it.`
  if (subject.isUnread) {
    const message = `dbgate: denied, dbgate could not understand this statement, ${refuses}`
    return new DbgateError('DENIED', message, {
      detail: `What was not understood: ${subject.unread ?? 'its text'}.${about}`,
    })
  }
  const code = subject.acting.length > 0 ? subject.acting.join(', ') : subject.acts.kind
  return new DbgateError(
    'DENIED',
    `dbgate: denied, dbgate could not read all the code this statement runs, ${refuses}`,
    {
      detail: `Code in: ${code}.${about} What a function does can be said under functions: in the policy.`,
    },
  )
}

/** A role that was had for a while, and no longer. */
export function grantEnded({ role, target }: Grant): DbgateError {
  return new DbgateError(
    'DENIED',
    `dbgate: denied, your time as ${role} on ${target} is over. Not run. Next: dbgate request ${target} --role ${role}`,
  )
}

/** Ends like a sentence. */
function sentence(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`
}

/** The last two steps of a path: enough to find it, and nothing of how the server is laid out. */
export function placeOf(at: string): string {
  return at.split('/').slice(-2).join('/')
}
