import { loadPolicy } from '../../src/config/index.ts'
import { bindMasks, compilePolicy, grantFor, type MaskRule } from '../../src/policy/index.ts'
import type {
  Catalog,
  CatalogColumn,
  CatalogRelation,
  Lineage,
  LineageColumn,
  Origin,
} from '../../src/sql/index.ts'
import { withFiles } from '../config/files.ts'

/** Columns by their relation; what stands behind a blank is the comment. */
type Tables = Readonly<Record<string, readonly string[]>>

type Built = {
  readonly catalog: Catalog
  /** The origin of `users.email`. */
  readonly at: (name: string) => Origin
}

const TEXT = 25

/** A catalog of relations in public (or another schema), with oids from 1000 in their order. */
export function tables(
  named: Tables,
  more: Readonly<Record<string, Partial<CatalogRelation>>> = {},
  firstOid = 1000,
): Built {
  const relations = new Map<number, CatalogRelation>()
  for (const [index, [spelled, columns]] of Object.entries(named).entries()) {
    const [name = '', schema = 'public'] = spelled.split('.').reverse()
    const oid = firstOid + index
    relations.set(oid, {
      oid,
      schema,
      name,
      kind: 'r',
      columns: columns.map(column),
      definition: undefined,
      notNull: new Set(),
      expressions: [],
      types: [],
      triggers: [],
      rules: [],
      parents: [],
      children: [],
      referencedBy: [],
      ...more[spelled],
    })
  }
  const all = [...relations.values()]
  for (const { oid, parents } of all) {
    for (const parent of parents) relations.get(parent)?.children.push(oid)
  }
  const none = new Map<string, never[]>()
  const catalog: Catalog = {
    path: ['pg_catalog', 'public'],
    relations,
    relationsNamed: Map.groupBy(all, ({ name }) => name),
    systemRelations: none,
    systemRows: none,
    functions: new Map(),
    functionsNamed: none,
    rowFunctions: new Set(),
    operatorsNamed: none,
    domainsNamed: none,
    castsTo: none,
    implicitCasts: [],
    hasEventTriggers: false,
  }
  const at = (name: string): Origin => {
    const [column, relation, schema = 'public'] = name.split('.').reverse()
    const found = all.find(each => each.name === relation && each.schema === schema)
    const number = found?.columns.find(each => each.name === column)?.number
    if (found === undefined || number === undefined) throw new TypeError(`no ${name}`)
    return { relation: found.oid, column: number }
  }
  return { catalog, at }
}

function column(written: string, index: number): CatalogColumn {
  const [name = '', ...comment] = written.split(' ')
  return {
    number: index + 1,
    name,
    typeOid: TEXT,
    typeModifier: -1,
    generated: undefined,
    comment: comment.length === 0 ? undefined : comment.join(' '),
    notNull: false,
  }
}

const HEAD = `version: 1
roles: { reader: { may: [read] }, writer: { may: [read, write] } }
people: [{ groups: [engineering], roles: { prod: writer } }, { groups: [support], roles: { prod: reader } }]
`

/** The masks of somebody on prod, under a policy of which only `masks:` is given. */
export async function rulesOf(
  masks: string,
  { groups = ['engineering'], agent }: { groups?: readonly string[]; agent?: string } = {},
): Promise<readonly MaskRule[]> {
  const { policy } = await withFiles({ 'main.yaml': `${HEAD}${masks}` }, dir =>
    loadPolicy([`${dir}/main.yaml`]),
  )
  const user = { issuer: 'i', subject: 's', user: 'u', name: 'u', expiresAt: 1, groups }
  const grant = grantFor(compilePolicy(policy), user, 'prod')
  return bindMasks(grant?.masks ?? [], agent)
}

/** A lineage in which nothing happens, but for what is given. */
export function lineage(given: Partial<Lineage> = {}): Lineage {
  const origins = [
    ...(given.columns?.flatMap(({ from }) => from) ?? []),
    ...(given.uses?.map(({ origin }) => origin) ?? []),
    ...(given.stored?.flatMap(({ target, from }) => (target ? [target, ...from] : from)) ?? []),
  ]
  return {
    columns: undefined,
    uses: [],
    stored: [],
    literals: [],
    relations: [...new Set(origins.map(({ relation }) => relation))],
    statistics: [],
    runsCode: false,
    isExplain: false,
    unknown: [],
    ...given,
  }
}

/** A column of a result that shows origins as they are, but for what is given. */
export function output(from: readonly Origin[], given: Partial<LineageColumn> = {}): LineageColumn {
  const [first] = from
  return {
    name: 'x',
    from,
    flow: 'same',
    reported: first === undefined ? [] : [first],
    type: { oid: TEXT, modifier: -1 },
    ...given,
  }
}
