// Writes schema/*.json anew: node test/config/write-schemas.ts
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { publishedSchemas } from '../../src/config/index.ts'

const root = join(import.meta.dirname, '../..')
for (const [name, schema] of Object.entries(publishedSchemas())) {
  await writeFile(join(root, 'schema', `${name}.json`), `${JSON.stringify(schema, null, 2)}\n`)
}
