import type pg from 'pg'
import {
  buildCatalog,
  CATALOG_QUERIES,
  type Catalog,
  type CatalogPart,
} from '../../src/sql/index.ts'

/** Loads a catalog the way the gate does: the queries in order, on one connection. */
export async function loadCatalog(client: pg.Client): Promise<Catalog> {
  const rows = new Map<CatalogPart, string[]>()
  for (const { part, sql } of CATALOG_QUERIES) {
    const result = await client.query<string[]>({ text: sql, rowMode: 'array' })
    if (part === undefined) continue
    rows.set(
      part,
      result.rows.map(([row = '']) => row),
    )
  }
  return buildCatalog(rows)
}
