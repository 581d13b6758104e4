import type { CreateFunctionStmt, FunctionParameter, Node } from 'libpg-query'
import type { CatalogFunction, CatalogTrigger } from './catalog.ts'
import { Facts } from './facts.ts'
import { type From, type Item, Level } from './lineage-names.ts'
import { readRelation, relationsNamed } from './lineage-relations.ts'
import type { Trace, Traced } from './lineage-trace.ts'
import {
  CONSTANT,
  type Column,
  depending,
  derived,
  NO_ORIGINS,
  type Origins,
  TEXT_CONSTANT,
  union,
  unionOf,
  type Value,
} from './lineage-value.ts'
import { Findings } from './raw.ts'
import type { Statement } from './statement.ts'
import { optionsOf, textOf } from './visit-function.ts'
import { qualifiedName } from './walk.ts'

/** What a function of the database gives, as far as its body can be read. */
export function traceFunctionBody(called: CatalogFunction, from: Origins, trace: Trace): Value {
  const spelled = `${called.schema}.${called.name}`
  if (called.definition === undefined) {
    trace.refuse(`function ${spelled}`)
    return derived(from)
  }
  const traced = readFunction(called, called.definition, trace)
  trace.absorb(traced)
  if (traced.stored.length > 0 && from.size > 0) trace.store(undefined, from, `function ${spelled}`)
  const columns = traced.columns ?? []
  const all = union([from, unionOf(columns.map(({ value }) => value))])
  const row =
    columns.length > 1 || (columns[0]?.name ?? '') !== ''
      ? columns.map(({ name, value }) => ({ name, value: depending(derived(value.from), from) }))
      : undefined
  return { ...derived(all), row }
}

function readFunction(called: CatalogFunction, definition: string, trace: Trace): Traced {
  const own = called.searchPath ?? trace.shared.running
  const path = own === 'anywhere' ? undefined : own
  const key = `function ${called.oid} ${path === undefined ? '' : JSON.stringify(path)}`
  return trace.once(key, path, inner => {
    const [node] = inner.shared.parse(definition) ?? []
    if (node === undefined || !('CreateFunctionStmt' in node)) {
      inner.refuse(`function ${called.schema}.${called.name}`)
      return undefined
    }
    const create = node.CreateFunctionStmt
    const body = sqlBody(create, inner)
    const columns =
      body === undefined
        ? readByFacts(called, inner)
        : readStatements(body, create, called.name, inner)
    const defaults = defaultsOf(create, inner)
    return shaped(columns, create, inner).map(({ name, value }) => {
      return { name, value: depending(value, defaults) }
    })
  })
}

/** What may come in for parameters that a call leaves out. */
function defaultsOf(create: CreateFunctionStmt, trace: Trace): Origins {
  const nothing = new Level({ items: [], columns: [], open: [] }, undefined)
  return trace.originsOf(
    parametersOf(create).flatMap(({ defexpr }) => defexpr ?? []),
    nothing,
  )
}

/** The statements of a function in SQL; undefined for one in another language. */
function sqlBody(create: CreateFunctionStmt, trace: Trace): readonly Node[] | undefined {
  const { sql_body: body } = create
  if (body !== undefined) return flatten(body)
  const options = optionsOf(create.options)
  const language = textOf(options.find(option => option.defname === 'language')?.arg)
  const text = textOf(options.find(option => option.defname === 'as')?.arg)
  return language === 'sql' && text !== undefined ? trace.shared.parse(text) : undefined
}

/** BEGIN ATOMIC is a list of lists. */
function flatten(node: Node): Node[] {
  return 'List' in node ? (node.List.items ?? []).flatMap(flatten) : [node]
}

function parametersOf(create: CreateFunctionStmt): FunctionParameter[] {
  return (create.parameters ?? []).flatMap(parameter =>
    'FunctionParameter' in parameter ? [parameter.FunctionParameter] : [],
  )
}

const OUTPUTS = new Set(['FUNC_PARAM_OUT', 'FUNC_PARAM_INOUT', 'FUNC_PARAM_TABLE'])

/** Its parameters are visible from everywhere in it. What they hold, the call adds. */
function readStatements(
  body: readonly Node[],
  create: CreateFunctionStmt,
  name: string,
  trace: Trace,
): readonly Column[] {
  const columns = parametersOf(create).flatMap(({ name: parameter }) =>
    parameter === undefined ? [] : [{ name: parameter, value: TEXT_CONSTANT }],
  )
  const item = (alias: string): Item => {
    return { alias, schema: undefined, columns: [], open: CONSTANT, relation: undefined }
  }
  const from: From = {
    items: [{ ...item(name), columns }, ...columns.map(column => item(column.name))],
    columns,
    open: [],
  }
  const level = new Level(from, undefined)
  let last: readonly Column[] | undefined
  for (const node of body) last = trace.statement(node, level)
  return last ?? []
}

/** Gives the columns the names that the function declares. */
function shaped(
  columns: readonly Column[],
  create: CreateFunctionStmt,
  trace: Trace,
): readonly Column[] {
  const all = derived(unionOf(columns.map(({ value }) => value)))
  const outputs = parametersOf(create).filter(({ mode = '' }) => OUTPUTS.has(mode))
  const names = outputs.map(({ name }, i) => name ?? `column${i + 1}`)
  if (names.length > 0) return named(names, columns, all)
  const [schema, type] = qualifiedName(create.returnType?.names)
  const [relation] = type === undefined ? [] : relationsNamed({ schema, name: type }, trace)
  if (relation !== undefined) {
    return named(
      relation.columns.map(column => column.name),
      columns,
      all,
    )
  }
  return [{ name: '', value: all }]
}

function named(names: readonly string[], columns: readonly Column[], all: Value): Column[] {
  const isSameShape = names.length === columns.length
  return names.map((name, i) => ({
    name,
    value: isSameShape ? derived(columns[i]?.value.from ?? all.from) : all,
  }))
}

/** What code that a trigger calls may put into a row: anything it reads. */
export function triggerOrigins(triggers: readonly CatalogTrigger[], trace: Trace): Origins {
  const sets = triggers.map(({ function: { oid, schema, name } }) => {
    const called = trace.catalog.functions.get(oid)
    if (called === undefined) {
      if (schema !== 'pg_catalog') trace.refuse(`trigger function ${name}`)
      return NO_ORIGINS
    }
    const traced = trace.once(`trigger ${oid}`, trace.shared.running, inner =>
      readByFacts(called, inner),
    )
    for (const why of traced.unknown) trace.refuse(why)
    return unionOf((traced.columns ?? []).map(({ value }) => value))
  })
  return union(sets)
}

/** All columns of all that a function in another language reads: as good as each of its results. */
function readByFacts(called: CatalogFunction, trace: Trace): readonly Column[] {
  const facts = new Facts()
  trace.shared.lookup.along(trace.path).call(called, facts)
  const statement = facts.finish(new Findings().raw('', ''), [])
  const what = `function ${called.schema}.${called.name}`
  if (!isUnderstood(statement)) {
    trace.refuse(what)
    return []
  }
  if (statement.needs.includes('admin')) trace.statistics.add(what)
  return [{ name: '', value: derived(readAll(statement, what, trace)) }]
}

function isUnderstood({
  notUnderstood,
  unknownFunctions,
  unknownRelations,
  hazards,
}: Statement): boolean {
  return (
    notUnderstood.length + unknownFunctions.length + unknownRelations.length === 0 &&
    !hazards.includes('code')
  )
}

/** Everything that the relations of a statement hold, which it may carry to those that it writes. */
export function readAll(statement: Statement, what: string, trace: Trace): Origins {
  const values: Value[] = []
  let isWritten = false
  for (const { schema, name, access } of statement.relations) {
    const range = {
      relname: name,
      inh: true,
      ...(schema === undefined ? {} : { schemaname: schema }),
    }
    const found = readRelation(range, trace)
    if (access === 'write') isWritten = true
    for (const { value } of found?.columns ?? []) values.push(value)
  }
  const from = unionOf(values)
  if (isWritten && from.size > 0) trace.store(undefined, from, what)
  return from
}
