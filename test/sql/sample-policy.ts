/**
 * The policy that the corpus README assumes, over facts alone: DELETE, ALTER, DROP, TRUNCATE,
 * UPDATE without an effective WHERE and everything not on an allow-list are approved by a person;
 * public.payroll, pinned settings, roles, server files and replication are denied; the rest is
 * allowed.
 */
import type { Analysis, Statement } from '../../src/sql/index.ts'

export type Verdict = 'allow' | 'approve' | 'deny'

/** A verdict and the fact that decided it. */
export type Judged = { readonly verdict: Verdict; readonly because: string }

const ALLOWED_KINDS = new Set(
  `SELECT INSERT UPDATE MERGE COPY_TO COPY_FROM EXPLAIN ANALYZE SHOW SET RESET BEGIN COMMIT ROLLBACK
  SAVEPOINT RELEASE ROLLBACK_TO PREPARE EXECUTE DEALLOCATE DECLARE FETCH MOVE CLOSE LISTEN UNLISTEN
  DISCARD SET_CONSTRAINTS`.split(/\s+/),
)

const ALLOWED_SETTINGS = new Set(['application_name', 'timezone', 'extra_float_digits'])

const ALLOWED_ACTING_FUNCTIONS = new Set(['nextval'])

const DENIED_HAZARDS = new Set(
  'files program roles settings server replication extension network sleep advisory-lock'.split(
    ' ',
  ),
)

function denied(statement: Statement): string | undefined {
  const relation = statement.relations.find(
    ({ schema, name }) => name === 'payroll' && (schema === undefined || schema === 'public'),
  )
  if (relation !== undefined) return 'table public.payroll'
  const hazard = statement.hazards.find(found => DENIED_HAZARDS.has(found))
  if (hazard !== undefined) return `hazard ${hazard}`
  const setting = statement.settings.find(({ name }) => !ALLOWED_SETTINGS.has(name))
  return setting === undefined ? undefined : `setting ${setting.name}`
}

function approved(statement: Statement): string | undefined {
  if (statement.notUnderstood.length > 0) return statement.notUnderstood.join(', ')
  const kind = statement.kinds.find(found => !ALLOWED_KINDS.has(found))
  if (kind !== undefined) return `kind ${kind}`
  if (statement.where === 'missing' || statement.where === 'trivial')
    return `where ${statement.where}`
  if (statement.hazards.length > 0) return `hazard ${statement.hazards.join(' ')}`
  const acting = statement.actingFunctions.find(name => !ALLOWED_ACTING_FUNCTIONS.has(name))
  return acting === undefined ? undefined : `function ${acting}`
}

/** Judges all statements of a text: deny wins over approve, approve over allow. */
export function judge(analysis: Analysis): Judged {
  if (!analysis.ok) return { verdict: 'deny', because: analysis.error.message }
  for (const statement of analysis.statements) {
    const because = denied(statement)
    if (because !== undefined) return { verdict: 'deny', because }
  }
  for (const statement of analysis.statements) {
    const because = approved(statement)
    if (because !== undefined) return { verdict: 'approve', because }
  }
  return { verdict: 'allow', because: 'nothing against it' }
}
