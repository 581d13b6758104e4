/** The JSON Schemas that editors use for completion, made from the very schemas that validate. */

import { z } from 'zod'
import { policySchema } from './policy-schema.ts'
import { serverSchema } from './server-schema.ts'

/** Shape: JSON Schema 2020-12 of both files, by the name of the file under schema/ without its ending. */
export function publishedSchemas(): Readonly<Record<'server' | 'policy', object>> {
  return {
    server: titled('dbgate.yaml', serverSchema),
    policy: titled('dbgate policy', policySchema),
  }
}

function titled(title: string, schema: z.ZodType): object {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' })
  return { $schema, title, ...rest }
}
