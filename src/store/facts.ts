import type { Judged } from './shape.ts'
import { factToken } from './tokens.ts'

/** What a statement is found by besides its text. `kind` and `class`: of its strongest part. */
export type Facts = {
  readonly class: string
  readonly kind: string
  /** Names of the tables, as JSON. */
  readonly tables: string
  /** Blanks between them. */
  readonly tokens: string
}

/** Effects from the strongest to the weakest: a text of several statements goes by its strongest. */
const CLASSES = ['admin', 'ddl', 'write', 'read', 'session', 'transaction']

/** What is remembered of sessions and analyses is forgotten at so many: they repeat within minutes. */
const MAX_KNOWN = 2000

/** Makes the facts of statements; it remembers those that repeat, which nearly all do. */
export class FactMaker {
  readonly #labels = new Map<string, string>()
  readonly #analyses = new Map<string, Facts>()

  /** The facts of a statement or denial. */
  factsOf(record: Judged): Facts {
    const analysis = this.#analysisOf(record)
    let tokens = `${this.#labelOf(record)} ${analysis.tokens}`
    if (record.request !== undefined && record.type === 'statement') {
      tokens += ` ${factToken('verdict', 'approved')}`
    }
    return { ...analysis, tokens }
  }

  #labelOf({ user, agent, target, role, session, verdict, rule }: Judged): string {
    const key = `${session}\n${verdict}\n${rule}\n${user}\n${agent}\n${target}\n${role}`
    const known = this.#labels.get(key)
    if (known !== undefined) return known
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
    return remember(this.#labels, key, [...tokens].join(' '))
  }

  #analysisOf({ statements }: Judged): Facts {
    const key = JSON.stringify(statements)
    return this.#analyses.get(key) ?? remember(this.#analyses, key, analysisFacts(statements))
  }
}

function analysisFacts(statements: Judged['statements']): Facts {
  const tokens = new Set<string>()
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
  const names = JSON.stringify([...tables])
  return { class: effect, kind, tables: names, tokens: [...tokens].join(' ') }
}

function remember<T>(known: Map<string, T>, key: string, value: T): T {
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(key, value)
  return value
}

/** What we have no rank for stands last. */
function rank(effect: string): number {
  const found = CLASSES.indexOf(effect)
  return found === -1 ? CLASSES.length : found
}
