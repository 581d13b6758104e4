/** What may stand in a policy file: the one source of its validation and of schema/policy.json. */

import { z } from 'zod'
import { listOf, member, name, namedMap } from './values.ts'

/** What a role may do. */
export const NEEDS = ['read', 'write', 'ddl', 'admin'] as const

const entry = z.strictObject({
  groups: listOf(member, 'a list of groups').optional(),
  users: listOf(member, 'a list of users').optional(),
  roles: namedMap(name, 'a map of targets to roles')
    .refine(roles => Object.keys(roles).length > 0, { error: 'roles needs at least one target' })
    .describe('The role on each target.'),
})

/** The whole of a policy file. */
export const policySchema = z.strictObject({
  version: z.literal(1, { error: 'version 1' }),
  roles: namedMap(
    z.strictObject({
      may: z
        .array(z.enum(NEEDS, { error: `one of ${NEEDS.join(', ')}` }), {
          error: `a list of ${NEEDS.join(', ')}`,
        })
        .describe('All it may do; what is not listed is denied.'),
    }),
    'a map of roles',
  ).default({}),
  people: z
    .array(entry, { error: 'a list of { groups, users, roles }' })
    .default([])
    .describe('Groups and users of the identity provider, and their roles.'),
})

/** A policy file as validated. */
export type PolicyFile = z.output<typeof policySchema>
