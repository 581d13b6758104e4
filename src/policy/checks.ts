import type { Conditions } from '../config/index.ts'
import type { Check, Maker } from './check.ts'
import {
  byApplication,
  byEnvironment,
  byGrant,
  byGroup,
  byTime,
  byTool,
  byTransaction,
  byUser,
} from './checks-situation.ts'
import {
  byClass,
  byFunction,
  byHazard,
  byKind,
  byRows,
  bySetting,
  byTable,
  byWhere,
} from './checks-statement.ts'

const MAKERS: { readonly [K in keyof Required<Conditions>]: Maker<K> } = {
  groups: byGroup,
  users: byUser,
  environment: byEnvironment,
  grant: byGrant,
  class: byClass,
  kind: byKind,
  where: byWhere,
  hazards: byHazard,
  tables: byTable,
  functions: byFunction('functions', ({ acts }) => acts.functions),
  actingFunctions: byFunction('acting_functions', ({ acting }) => acting),
  settings: bySetting,
  via: byTool,
  application: byApplication,
  inTransaction: byTransaction,
  rowsEstimate: byRows,
  time: byTime,
}

/** The checks of a block of conditions, cheap ones first. */
export function checksOf(conditions: Conditions): readonly Check[] {
  const make = <K extends keyof Conditions>(key: K): Check[] => {
    const wanted = conditions[key]
    return wanted === undefined ? [] : [MAKERS[key](wanted)]
  }
  return (Object.keys(MAKERS) as (keyof Conditions)[]).flatMap(make)
}
