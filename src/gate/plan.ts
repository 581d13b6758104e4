import { asDbgateError, DbgateError } from '../errors.ts'
import { type Analyser, type Catalog, EMPTY_SCOPE } from '../sql/index.ts'
import type { HeldStatement } from '../store/index.ts'
import { explainFor } from './estimate.ts'

/** What planning a held statement takes. */
export type PlanTools = {
  readonly analyser: Pick<Analyser, 'analyse'>
  /** The schema as it is now. */
  readonly catalog: () => Promise<Catalog>
  /** Asks the database on a connection of its own, and not for long. */
  readonly ask: (explain: string) => Promise<readonly (string | null)[]>
}

/**
 * The plan of a held statement in lines, by EXPLAIN without ANALYZE; undefined where it must not be asked for.
 *
 * Nothing is planned that the gate did not plan when it was held: by that its names were known to mean the same
 * beside the session. And it is judged once more by the schema as it is now, because a function may have been
 * replaced since by one that planning would run.
 *
 * Throws: UPSTREAM the database gave no plan.
 */
export async function planOf(
  held: Pick<HeldStatement, 'text' | 'textBase64' | 'parameters' | 'scope' | 'rowsEstimate'>,
  { analyser, catalog, ask }: PlanTools,
): Promise<readonly string[] | undefined> {
  if (held.textBase64 !== undefined || held.rowsEstimate === undefined) return undefined
  try {
    const analysis = await analyser.analyse(Buffer.from(held.text), EMPTY_SCOPE, await catalog())
    const statements = analysis.ok ? analysis.statements : []
    const explain = explainFor(statements, held.parameters.length > 0, held.scope, 'TEXT')
    if (explain === undefined) return undefined
    return (await ask(explain)).map(line => line ?? '')
  } catch (cause) {
    const { message } = asDbgateError(cause)
    throw new DbgateError('UPSTREAM', 'the database gave no plan', { detail: message, cause })
  }
}
