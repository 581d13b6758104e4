import type { CatalogTrigger } from './catalog.ts'
import type { Trace } from './lineage-trace.ts'
import { type Column, NO_ORIGINS, type Origins, unionOf } from './lineage-value.ts'

/** `new.ssn` and `old."Ssn"`, to the end of the name. */
const FIELD =
  /\b(?:new|old)\s*\.\s*(?:"((?:[^"]|"")+)"|([\p{L}_][\p{L}\p{N}_$]*))(?![\p{L}\p{N}_$&"])/giu
/** What every trigger ends with, which carries nothing from one column to another. */
const RETURN = /\breturn\s+(?:new|old)\s*;/gi
/** The row itself, or a name that hides what it is by escapes. */
const ROW = /\b(?:new|old)\b|u&"/i

/**
 * What triggers may carry from column to column of the row they are called for: `NEW.note := NEW.ssn`. A trigger that
 * names fields of the row only may read each of them and write each of them; any other, all.
 */
export function carriedTo(
  name: string,
  triggers: readonly CatalogTrigger[],
  columns: readonly Column[],
  trace: Trace,
): Origins {
  const carried = triggers.flatMap(trigger => {
    const fields = fieldsOf(trigger, trace)
    if (fields !== 'all' && !fields.has(name)) return []
    return columns.filter(one => one.name !== name && (fields === 'all' || fields.has(one.name)))
  })
  return carried.length === 0 ? NO_ORIGINS : unionOf(carried.map(({ value }) => value))
}

function fieldsOf({ function: called }: CatalogTrigger, trace: Trace): 'all' | ReadonlySet<string> {
  if (called.schema === 'pg_catalog') {
    return called.name.startsWith('tsvector_update_trigger') ? 'all' : new Set()
  }
  const definition = trace.catalog.functions.get(called.oid)?.definition
  return definition === undefined ? 'all' : fieldsNamed(definition)
}

/** The fields of NEW and OLD that the text of a trigger's function names; `all` where it does more with them. */
export function fieldsNamed(definition: string): 'all' | ReadonlySet<string> {
  const fields = new Set<string>()
  const rest = definition
    .replaceAll(FIELD, (_, quoted: string | undefined, plain: string | undefined) => {
      fields.add(quoted?.replaceAll('""', '"') ?? plain?.toLowerCase() ?? '')
      return ' '
    })
    .replaceAll(RETURN, ' ')
  return ROW.test(rest) ? 'all' : fields
}
