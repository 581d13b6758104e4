/**
 * Writes src/sql/grammar.ts: which fields each node of a raw parse tree has.
 *
 * Run: node test/sql/generate/grammar.ts (after a change of the parser's version)
 * Source: the type declarations that come with libpg-query, themselves made from libpg_query's
 * protobuf.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/**
 * Nodes that only exist after parse analysis or planning: in a raw tree they are not understood.
 */
const NOT_RAW = new Set(
  `ParseResult ScanResult ScanToken SummaryResult OidList Var Param Aggref WindowFunc
  WindowFuncRunCondition SubscriptingRef FuncExpr OpExpr DistinctExpr NullIfExpr ScalarArrayOpExpr SubPlan
  AlternativeSubPlan FieldSelect FieldStore RelabelType CoerceViaIO ArrayCoerceExpr ConvertRowtypeExpr
  CollateExpr CaseTestExpr ArrayExpr RowCompareExpr JsonConstructorExpr JsonExpr JsonTablePath
  JsonTablePathScan JsonTableSiblingJoin CoerceToDomain CoerceToDomainValue NextValueExpr InferenceElem
  ReturningExpr TargetEntry RangeTblRef FromExpr OnConflictExpr Query RangeTblEntry RTEPermissionInfo
  RangeTblFunction TableSampleClause WithCheckOption SortGroupClause WindowClause RowMarkClause MergeAction
  TableFunc SetOperationStmt PLAssignStmt CallContext Function Table FilterColumn IntList`
    .split(/\s+/)
    .filter(Boolean),
)

/**
 * Nodes whose content can't hold an expression, a name or a statement: the walker stops at them.
 */
const LEAVES = new Set(['Integer', 'Float', 'Boolean', 'String', 'BitString', 'A_Const', 'A_Star'])

/** Reads `export interface X { field?: Type; … }` blocks into [name, [field, type][]] pairs. */
export function readInterfaces(source: string): Map<string, [string, string][]> {
  const found = new Map<string, [string, string][]>()
  for (const block of source.matchAll(/export interface (\w+) \{([^}]*)\}/g)) {
    const fields: [string, string][] = []
    for (const field of (block[2] ?? '').matchAll(/(\w+)\??:\s*([^;]+);/g)) {
      fields.push([field[1] ?? '', (field[2] ?? '').trim()])
    }
    found.set(block[1] ?? '', fields)
  }
  return found
}

/** Renders one line for each node: `Name field:Type list*:Type scalar`. Scalars carry no type. */
export function renderGrammar(interfaces: Map<string, [string, string][]>): string {
  const lines: string[] = []
  for (const [name, fields] of interfaces) {
    if (NOT_RAW.has(name)) continue
    const parts = [name]
    for (const [field, type] of LEAVES.has(name) ? [] : fields) {
      const base = type.replace(/\[\]$/, '')
      const list = type.endsWith('[]') ? '*' : ''
      const isNode = base === 'Node' || interfaces.has(base)
      parts.push(isNode ? `${field}:${base}${list}` : field)
    }
    lines.push(parts.join(' '))
  }
  return lines.sort().join('\n')
}

const require = createRequire(import.meta.url)
const types = join(
  dirname(require.resolve('libpg-query/package.json')),
  '../@pgsql/types/types.d.ts',
)
const body = renderGrammar(readInterfaces(readFileSync(types, 'utf8')))
writeFileSync(
  new URL('../../../src/sql/grammar.ts', import.meta.url),
  `/**
 * The fields of every node that PostgreSQL 18's raw parse tree can hold. Generated: node
 * test/sql/generate/grammar.ts
 *
 * Shape: a line a node, \`field:Node\` any node in its wrapper, \`field:Type\` that node without
 * wrapper, \`*\` a list, a bare word a scalar. What is not in here is not understood, and what is
 * not understood needs 'admin'.
 */
export const GRAMMAR = \`
${body}
\`
`,
)
