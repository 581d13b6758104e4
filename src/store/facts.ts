import type { Judged } from './shape.ts'
import { factToken } from './tokens.ts'

/** What a statement is found by besides its text. `kind` and `class`: of its strongest part. */
export type Facts = {
  readonly class: string
  readonly kind: string
  readonly tables: readonly string[]
  /** Blanks between them. */
  readonly tokens: string
}

/** Effects from the strongest to the weakest: a text of several statements goes by its strongest. */
const CLASSES = ['admin', 'ddl', 'write', 'read', 'session', 'transaction']

/** The facts of a statement or denial. */
export function factsOf(record: Judged): Facts {
  const { user, agent, target, role, session, verdict, rule, statements } = record
  const tokens = new Set([
    factToken('user', user),
    factToken('user', user.split('@')[0] ?? user),
    factToken('via', agent),
    factToken('target', target),
    factToken('role', role),
    factToken('session', session),
    factToken('verdict', verdict),
    factToken('rule', rule),
  ])
  const tables = new Set<string>()
  for (const statement of statements) {
    tokens.add(factToken('class', statement.class))
    tokens.add(factToken('kind', statement.kind))
    for (const { schema, name } of statement.relations) {
      const full = schema === undefined ? name : `${schema}.${name}`
      tables.add(full)
      tokens.add(factToken('table', full)).add(factToken('table', name))
    }
  }
  const ranked = statements.toSorted((a, b) => rank(a.class) - rank(b.class))
  const { class: effect = '', kind = '' } = ranked[0] ?? {}
  return { class: effect, kind, tables: [...tables], tokens: [...tokens].join(' ') }
}

/** What we have no rank for stands last. */
function rank(effect: string): number {
  const found = CLASSES.indexOf(effect)
  return found === -1 ? CLASSES.length : found
}
