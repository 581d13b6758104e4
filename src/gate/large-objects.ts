/**
 * The functions libpq's large object interface calls by OID, and how many arguments they take.
 * Source: src/include/catalog/pg_proc.dat; the OIDs have not changed since PostgreSQL 9.3.
 */
const LARGE_OBJECT_FUNCTIONS: ReadonlyMap<number, readonly [name: string, argumentCount: number]> =
  new Map([
    [715, ['lo_create', 1]],
    [952, ['lo_open', 2]],
    [953, ['lo_close', 1]],
    [954, ['loread', 2]],
    [955, ['lowrite', 2]],
    [956, ['lo_lseek', 3]],
    [957, ['lo_creat', 1]],
    [958, ['lo_tell', 1]],
    [964, ['lo_unlink', 1]],
    [1004, ['lo_truncate', 2]],
    [3170, ['lo_lseek64', 3]],
    [3171, ['lo_tell64', 1]],
    [3172, ['lo_truncate64', 2]],
  ])

/** The SELECT that a FunctionCall amounts to; undefined for any function but those of large objects. */
export function largeObjectCall(functionOid: number, argumentCount: number): string | undefined {
  const found = LARGE_OBJECT_FUNCTIONS.get(functionOid)
  if (found === undefined || found[1] !== argumentCount) return undefined
  const parameters = Array.from({ length: argumentCount }, (_, index) => `$${index + 1}`)
  return `SELECT pg_catalog.${found[0]}(${parameters.join(', ')})`
}
