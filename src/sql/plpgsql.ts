/** SQL inside a PL/pgSQL function, and whether some of it is put together at run time. */
export type PlpgsqlBody = {
  /** Alternatives to try in turn for each piece: the first that parses is it. */
  readonly pieces: readonly (readonly string[])[]
  /** It runs text that is not in it (EXECUTE). */
  readonly isDynamic: boolean
}

/** Nodes and fields of libpg_query's PL/pgSQL trees that are known to lead nowhere else. */
const KNOWN = new Set(
  `plpgsql_funcs PLpgSQL_function PLpgSQL_var PLpgSQL_rec PLpgSQL_row PLpgSQL_recfield PLpgSQL_type
  PLpgSQL_stmt_block PLpgSQL_stmt_assign PLpgSQL_stmt_if PLpgSQL_if_elsif PLpgSQL_stmt_case
  PLpgSQL_case_when PLpgSQL_stmt_loop PLpgSQL_stmt_while PLpgSQL_stmt_fori PLpgSQL_stmt_fors
  PLpgSQL_stmt_forc PLpgSQL_stmt_foreach_a PLpgSQL_stmt_exit PLpgSQL_stmt_return
  PLpgSQL_stmt_return_next PLpgSQL_stmt_return_query PLpgSQL_stmt_raise PLpgSQL_raise_option
  PLpgSQL_stmt_assert PLpgSQL_stmt_execsql PLpgSQL_stmt_dynexecute PLpgSQL_stmt_dynfors
  PLpgSQL_stmt_getdiag PLpgSQL_diag_item PLpgSQL_stmt_open PLpgSQL_stmt_fetch PLpgSQL_stmt_close
  PLpgSQL_stmt_perform PLpgSQL_stmt_call PLpgSQL_stmt_commit PLpgSQL_stmt_rollback
  PLpgSQL_exception_block PLpgSQL_exception PLpgSQL_condition PLpgSQL_expr`.split(/\s+/),
)

const DYNAMIC = new Set(['PLpgSQL_stmt_dynexecute', 'PLpgSQL_stmt_dynfors', 'dynquery'])

/**
 * Finds the SQL in the parser's tree of a PL/pgSQL function. Undefined when the tree holds
 * something unknown.
 *
 * Source: pg_query_json_plpgsql.c of libpg_query; RawParseMode in PostgreSQL's parser/parser.h.
 */
export function readPlpgsqlTree(tree: unknown): PlpgsqlBody | undefined {
  const pieces: (readonly string[])[] = []
  let isDynamic = false
  const pending: unknown[] = [tree]
  while (pending.length > 0) {
    const value = pending.pop()
    if (typeof value !== 'object' || value === null) continue
    for (const [key, child] of Object.entries(value)) {
      if (key.startsWith('PLpgSQL') && !KNOWN.has(key)) return undefined
      if (DYNAMIC.has(key)) isDynamic = true
      if (key === 'PLpgSQL_expr') {
        const piece = readExpression(child)
        if (piece === undefined) return undefined
        pieces.push(piece)
      } else pending.push(child)
    }
  }
  return { pieces, isDynamic }
}

const MODE_STATEMENT = 0
const MODE_EXPRESSION = 2
/** `x := e`, `x.y := e`, `x.y.z := e`. */
const MODES_ASSIGNMENT: readonly unknown[] = [3, 4, 5]

function readExpression(expression: unknown): readonly string[] | undefined {
  if (typeof expression !== 'object' || expression === null) return undefined
  const query: unknown = Reflect.get(expression, 'query')
  const mode: unknown = Reflect.get(expression, 'parseMode') ?? MODE_STATEMENT
  if (typeof query !== 'string') return undefined
  if (mode === MODE_STATEMENT) return [query]
  if (mode === MODE_EXPRESSION) return [`SELECT ${query}`]
  return MODES_ASSIGNMENT.includes(mode) ? assignments(query) : undefined
}

/**
 * An assignment as a comparison, which has the same parts: the one `:=` that is the assignment's is
 * the first that gives a text that parses. `x = e` needs no change.
 */
function assignments(query: string): string[] {
  const texts = [`SELECT ${query}`]
  for (let at = query.indexOf(':='); at >= 0; at = query.indexOf(':=', at + 2)) {
    texts.push(`SELECT ${query.slice(0, at)} = ${query.slice(at + 2)}`)
  }
  return texts
}
