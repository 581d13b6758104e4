/**
 * What people and agents read when a statement is refused for what is masked. Everything that matters stands in
 * the one line of the message: which column, that nothing ran, and what would be allowed.
 */
import { DbgateError } from '../errors.ts'
import { placeOf } from '../policy/index.ts'
import type { UsePlace } from '../sql/index.ts'
import type { MaskedColumn } from './select.ts'

/** Names come from the database and from texts: one line, and short enough that the rest of the message is read. */
function brief(text: string, longest = 64): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
  return line.length <= longest ? line : `${line.slice(0, longest - 1)}…`
}

function denied({ name, rule, why }: MaskedColumn, what: string, next: string): DbgateError {
  return new DbgateError('DENIED', `dbgate: denied, ${what}. Not run. Next: ${next}`, {
    detail: `Column ${brief(name)} is masked by ${brief(why)} (${placeOf(rule.at)}).`,
  })
}

/** Used to choose, order or count rows. */
export function uses(column: MaskedColumn, place: UsePlace): DbgateError {
  const name = brief(column.name)
  const what =
    place === 'COLUMN'
      ? `${name} is confidential and may not decide what is shown here`
      : `${name} is confidential and may not be used in ${place} here`
  return denied(column, what, `leave ${name} out there, and filter by a key such as an id.`)
}

/** Used otherwise than `filters: equality` lets it. */
export function usesOtherwise(column: MaskedColumn, place: UsePlace): DbgateError {
  const name = brief(column.name)
  return denied(
    column,
    `${name} is confidential and may not be used like this in ${place}`,
    `${name} = one value, IN with up to 5, GROUP BY, or a join with a column hashed alike.`,
  )
}

/** Computed with, where failing tells the value. */
export function computes(column: MaskedColumn, output: string): DbgateError {
  const name = brief(column.name)
  return denied(
    column,
    `${name} is confidential, and column "${brief(output, 40)}" computes with it in a way that could tell it`,
    'select the column itself, or count it.',
  )
}

/** Copied to where it is not masked. `where` is the place in words. */
export function stores(column: MaskedColumn, where: string): DbgateError {
  const name = brief(column.name)
  return denied(
    column,
    `this would copy ${name} to ${brief(where)}, where it is not masked alike`,
    `leave ${name} out.`,
  )
}

/** Written, where its masks forbid that. */
export function writes(column: MaskedColumn): DbgateError {
  const name = brief(column.name)
  return denied(column, `${name} is confidential and may not be written here`, `leave ${name} out.`)
}

/** EXPLAIN of what is masked. */
export function explains(column: MaskedColumn): DbgateError {
  const name = brief(column.name)
  return denied(
    column,
    `the plan of this statement could tell values of ${name}`,
    `EXPLAIN it without ${name}: name the columns instead of *.`,
  )
}

/** What a mask made, on its way into the database. */
export function writesMaskedValue(name: string | undefined): DbgateError {
  const where = name === undefined ? '' : ` in ${brief(name)}`
  return new DbgateError(
    'DENIED',
    `dbgate: denied, this would store a masked value${where}. Not run. Next: leave that column out.`,
    {
      detail:
        'What a mask shows is not what the database holds: writing it back would destroy that.',
    },
  )
}

/** What a mask made, compared with the real values. */
export function comparesMaskedValue(name: string): DbgateError {
  return new DbgateError(
    'DENIED',
    `dbgate: denied, this compares ${brief(name)} with a masked value, which the database does not hold. Not run. Next: filter by a key such as an id.`,
  )
}

/** Relations and functions that show what others have stored or sent. */
export function statistics(names: readonly string[]): DbgateError {
  const shown = brief(names.join(', '))
  return new DbgateError(
    'DENIED',
    `dbgate: denied, ${shown} can show values of confidential columns. Not run. Next: leave it out.`,
  )
}

/** What the analysis does not follow. */
export function unproven(reasons: readonly string[]): DbgateError {
  const reason = reasons[0] ?? 'unknown'
  const [, name] = /^(?:relation|column|function) (\S+)$/.exec(reason) ?? []
  const next =
    name === undefined
      ? 'write it more simply.'
      : `check the name ${brief(name)}, it is not known here.`
  return new DbgateError(
    'UNSUPPORTED',
    `dbgate: statement could not be proven safe (${brief(reason, name === undefined ? 120 : 80)}). Not run, since confidential columns might be read. Next: ${next}`,
    { detail: brief(`What was not understood: ${reasons.join('; ')}.`, 500) },
  )
}
