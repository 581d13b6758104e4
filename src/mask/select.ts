import type { Detector } from '../config/index.ts'
import type { MaskRule } from '../policy/index.ts'
import type { Catalog, CatalogRelation, Origin } from '../sql/index.ts'
import type { Mask } from './kinds.ts'
import { columnPattern, globOf, spelled } from './labels.ts'
import { type Known, NO_MEMORY, type Remembered, recall } from './memory.ts'
import { type Candidate, detectorsOf, type Strictest, strictest } from './strictest.ts'

/** A column that is masked, and all that holds for it. `name` is as people write it: `users.email`. */
export type MaskedColumn = Strictest & {
  readonly origin: Origin
  readonly name: string
  readonly typeOid: number
  /** It is a view's: what it holds comes from elsewhere. */
  readonly isOfView: boolean
}

/** What texts are masked for what they look like, in whatever column they stand. */
export type DetectorMask = { readonly matches: Detector; readonly mask: Mask }

/**
 * The masks of a grant, as they come out on a catalog: by relation and column, never by name, so that nothing an
 * alias or a view calls them matters.
 */
export type MaskSet = {
  /** Nothing is masked, whatever is asked. */
  readonly isEmpty: boolean
  readonly of: (origin: Origin) => MaskedColumn | undefined
  /** Relations that have a masked column. */
  readonly relations: ReadonlySet<number>
  readonly columns: readonly MaskedColumn[]
  readonly detectors: readonly DetectorMask[]
}

type Made = WeakMap<Catalog, WeakMap<readonly Remembered[], MaskSet>>
const made = new WeakMap<readonly MaskRule[], Made>()

/**
 * Finds the columns that masks are about. Parents, children and partitions have the masks of each other's columns
 * of the same name, since each can be read through another.
 *
 * The same three values give the same set. `memory` is what columns had before: see Remembered.
 */
export function selectMasks(
  rules: readonly MaskRule[],
  catalog: Catalog,
  memory: readonly Remembered[] = NO_MEMORY,
): MaskSet {
  const byCatalog: Made = made.get(rules) ?? new WeakMap()
  made.set(rules, byCatalog)
  const byMemory = byCatalog.get(catalog) ?? new WeakMap<readonly Remembered[], MaskSet>()
  byCatalog.set(catalog, byMemory)
  const known = byMemory.get(memory)
  if (known !== undefined) return known
  const set = select(rules, catalog, memory)
  byMemory.set(memory, set)
  return set
}

function select(
  rules: readonly MaskRule[],
  catalog: Catalog,
  memory: readonly Remembered[],
): MaskSet {
  const columns = rules.length === 0 ? [] : masked(rules, catalog, memory)
  const byOrigin = new Map(columns.map(column => [keyOf(column.origin), column]))
  const detectors = detectorsOf(rules)
  return Object.freeze({
    isEmpty: rules.length === 0,
    of: (origin: Origin) => byOrigin.get(keyOf(origin)),
    relations: new Set(columns.map(({ origin }) => origin.relation)),
    columns,
    detectors,
  })
}

function masked(
  rules: readonly MaskRule[],
  catalog: Catalog,
  memory: readonly Remembered[],
): readonly MaskedColumn[] {
  const compiled = rules.map(compile)
  const knownOf = recall(catalog, memory)
  const own = new Map<number, Map<string, readonly Candidate[]>>()
  for (const relation of catalog.relations.values()) {
    const found = relation.columns.flatMap(column => {
      const known = knownOf(relation, column)
      const candidates = compiled.flatMap(candidatesOf => candidatesOf(known))
      return candidates.length === 0 ? [] : [[column.name, candidates] as const]
    })
    if (found.length > 0) own.set(relation.oid, new Map(found))
  }
  const families = new Map<CatalogRelation, readonly CatalogRelation[]>()
  return [...catalog.relations.values()].flatMap(relation => {
    const family = families.get(relation) ?? familyOf(catalog, relation)
    for (const member of family) families.set(member, family)
    const root = family[0] ?? relation
    const having = family.flatMap(({ oid }) => own.get(oid) ?? [])
    if (having.length === 0) return []
    return relation.columns.flatMap(({ name: column, number, typeOid }): MaskedColumn[] => {
      const candidates = having.flatMap(each => each.get(column) ?? [])
      const found = strictest(candidates, `${root.schema}.${root.name}.${column}`)
      if (found === undefined) return []
      const name = spelled({ schema: relation.schema, relation: relation.name, column })
      const origin = { relation: relation.oid, column: number }
      return [{ ...found, origin, name, typeOid, isOfView: relation.kind === 'v' }]
    })
  })
}

/** Finds why a rule masks a column, by what is known of it. */
function compile(rule: MaskRule): (known: Known) => readonly Candidate[] {
  const columns = rule.columns.map(pattern => ({ pattern, matches: columnPattern(pattern) }))
  const labels = rule.labels.map(({ label, mask }) => ({ label: globOf(label), mask }))
  return ({ names, labels: written }) => {
    const { mask } = rule
    const named = columns.find(({ matches }) => names.some(matches))
    const byName = named && mask ? [{ rule, word: mask, why: named.pattern }] : []
    const byLabel = written.flatMap((label): Candidate[] => {
      const exact = labels.find(each => each.label.test(label))
      return exact === undefined ? [] : [{ rule, word: exact.mask, why: `label ${label}` }]
    })
    return [...byName, ...byLabel]
  }
}

/** A relation with all it is related to through inheritance and partitions; one without parents comes first. */
function familyOf(catalog: Catalog, relation: CatalogRelation): readonly CatalogRelation[] {
  if (relation.parents.length === 0 && relation.children.length === 0) return [relation]
  const family = new Set<CatalogRelation>([relation])
  // A set goes on with what is added while it is gone through.
  for (const { parents, children } of family) {
    for (const oid of [...parents, ...children]) {
      const found = catalog.relations.get(oid)
      if (found !== undefined) family.add(found)
    }
  }
  return [...family].sort((a, b) => a.parents.length - b.parents.length || a.oid - b.oid)
}

function keyOf({ relation, column }: Origin): string {
  return `${relation}.${column}`
}
