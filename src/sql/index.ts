/**
 * What a statement does, from PostgreSQL's own parser.
 *
 * Text is parsed by libpg_query (PostgreSQL 18's grammar) and the raw tree is walked in full: every
 * node must be one the walker knows. No text is ever matched. The invariant: what is not understood
 * needs 'admin', and no wrapping of a statement (WITH, sub-select, EXPLAIN ANALYZE, PREPARE, a
 * cursor) makes it need less.
 *
 * Text is read once, into what it says by itself (raw.ts); what its names stand for is looked up
 * after that: the session's in a Scope, the database's in a Catalog. Without a catalog a function
 * that PostgreSQL does not bring may write, so that calling it needs 'write'; with one it is judged
 * by its body, a table by its triggers, rules, defaults, policies, parents and cascades.
 *
 * Lineage (lineage*.ts) says from which columns everything comes that a statement returns, decides by and stores. It
 * reads the tree a second time, with the catalog: what a name stands for at its place (lineage-names.ts), what an
 * expression is worth (lineage-expression.ts), what a query, a change or a command makes of it. What it does not
 * understand is `unknown`, and then anything may be in it.
 */
export { type Analyser, type AnalyserOptions, createAnalyser } from './analyser.ts'
export { canonicalText } from './canonical.ts'
export {
  buildCatalog,
  type Catalog,
  type CatalogColumn,
  type CatalogPart,
  type CatalogRelation,
  type CatalogRows,
} from './catalog.ts'
export { CATALOG_QUERIES, CATALOG_VERSION_QUERY } from './catalog-queries.ts'
export type {
  ColumnUse,
  Flow,
  Lineage,
  LineageColumn,
  LineageLiteral,
  Origin,
  Stored,
  UsePlace,
} from './lineage-types.ts'
export {
  anticipate,
  EMPTY_SCOPE,
  type Scope,
  settle,
  withCursor,
  withMovedPath,
  withoutCursors,
  withoutPrepared,
  withPrepared,
} from './scope.ts'
export {
  type Access,
  type Analysis,
  type CopyOption,
  type Hazard,
  NEEDS,
  type Need,
  type Relation,
  type ScopeStep,
  type Setting,
  type Statement,
  type StatementClass,
  type SyntaxProblem,
  type TransactionStep,
} from './statement.ts'
export type { WhereStrength } from './where.ts'
