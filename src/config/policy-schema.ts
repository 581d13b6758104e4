/** What may stand in a policy file: the one source of its validation and of schema/policy.json. */

import { z } from 'zod'
import { onlyIfSound, when } from './policy-conditions.ts'
import { maskEntry } from './policy-mask-schema.ts'
import { NEEDS } from './policy-words.ts'
import { duration, integer, listOf, member, name, namedMap, text } from './values.ts'

const SECOND = 1000
const MINUTE = 60_000
const HOUR = 3_600_000
const DAY = 86_400_000

const groups = listOf(member, 'a list of groups')
const targets = listOf(
  text('the name of a target, or *', /^(\*|[a-z][a-z0-9_-]{0,62})$/),
  'a list of targets',
)
const on = targets.default(['*']).describe('Where it applies. Default everywhere.')
const sentence = text('one line of text', /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,1000}$/u)
const notify = z
  .array(name, { error: 'a list of names from notify in dbgate.yaml' })
  .default([])
  .describe('Who is told, by their names in dbgate.yaml.')

const roles = namedMap(
  z.strictObject({
    may: z
      .array(z.enum(NEEDS, { error: `one of ${NEEDS.join(', ')}` }), {
        error: `a list of ${NEEDS.join(', ')}`,
      })
      .describe('All it may do; what is not listed is denied.'),
  }),
  'a map of roles',
)

const entry = z
  .strictObject({
    groups: groups.optional(),
    users: listOf(member, 'a list of users').optional(),
    roles: namedMap(name, 'a map of targets to roles')
      .refine(given => Object.keys(given).length > 0, { error: 'roles needs at least one target' })
      .optional()
      .describe('The role on each target.'),
    may_request: namedMap(listOf(name, 'a list of roles'), 'a map of targets to lists of roles')
      .optional()
      .describe('Roles that can be asked for, for a while; access says who approves.'),
  })
  .refine(({ roles, may_request }) => roles !== undefined || may_request !== undefined, {
    error: 'this needs roles, may_request or both',
    when: onlyIfSound,
  })

const approve = z.strictObject({
  by: groups.describe('A person in one of these groups decides; never the one who asks.'),
  need: integer(1, 10).default(1).describe('How many of them must agree. Default 1.'),
  self: z
    .literal(false, { error: 'false: nobody approves their own' })
    .optional()
    .describe('Always false: nobody approves their own.'),
  expires: duration(MINUTE, 7 * DAY)
    .default(15 * MINUTE)
    .describe('How long it stays open, and then how long the approval lives. Default 15m.'),
  presence: z
    .literal('step-up', { error: 'step-up' })
    .optional()
    .describe('Deciding takes a fresh sign-in in the browser.'),
})

const access = z.strictObject({
  grant: namedMap(listOf(name, 'a list of roles'), 'a map of targets to lists of roles').refine(
    given => Object.keys(given).length > 0,
    { error: 'grant needs at least one target' },
  ),
  max: duration(MINUTE, 30 * DAY)
    .optional()
    .describe('The longest it can be asked for.'),
  reason: z
    .enum(['required', 'optional'], { error: 'required or optional' })
    .default('required')
    .describe('Whether a reason must be given. Default required.'),
  approve: approve.optional().describe('Who decides.'),
  notify,
  break_glass: z
    .strictObject({
      for: groups.describe('Who may have it at once, without anybody deciding.'),
      max: duration(MINUTE, 7 * DAY).describe('The longest it lasts.'),
      notify,
      review_within: duration(HOUR, 90 * DAY)
        .default(DAY)
        .describe('By when somebody must have looked at it. Default 24h.'),
    })
    .optional()
    .describe('For emergencies: at once, loud, and reviewed later.'),
})

const hold = z.strictObject({
  approve: approve.describe('A person decides about each statement.'),
  hold: duration(0, HOUR)
    .default(30 * SECOND)
    .describe('How long the client waits on the line. Default 30s.'),
  notify,
  in_transaction: z
    .enum(['wait', 'fail'], { error: 'wait or fail' })
    .default('wait')
    .describe('In an open transaction: wait like any other, or fail at once. Default wait.'),
})

/** Names of rules that are not written in a file. */
export const RESERVED_RULES = ['role', 'grant', 'unknown', 'limit', 'mask', 'function-call']

const rule = z.strictObject({
  name: name.describe('Shown to people, searched for in the audit log.'),
  on,
  when: when.prefault({}).describe('Keys are ANDed, lists in a key are ORed.'),
  // biome-ignore lint/suspicious/noThenProperty: the policy's own word; nobody awaits a schema
  then: z
    .union([z.enum(['allow', 'deny'], { error: 'allow, deny or a map with approve' }), hold], {
      error: 'allow, deny or a map with approve',
    })
    .describe('deny beats approve, approve beats allow; the order of rules means nothing.'),
  say: sentence.optional().describe('Why, shown word for word. For a tired colleague.'),
  next: sentence.optional().describe('What to do instead, shown word for word.'),
})

const mask = maskEntry(hold, on)

const limit = z
  .strictObject({
    on,
    roles: listOf(name, 'a list of roles').optional().describe('Default all.'),
    rows: z
      .strictObject({
        max: integer(1, 1_000_000_000),
        over: z
          .enum(['error', 'cut'], { error: 'error or cut' })
          .default('error')
          .describe('Fail the statement, or end the result there. Default error.'),
      })
      .optional()
      .describe('Rows a statement may return.'),
    time: duration(SECOND, DAY).optional().describe('How long a statement may run.'),
    connections: integer(1, 10_000).optional().describe('Connections one person may have.'),
    statements_per_minute: integer(1, 1_000_000).optional().describe('Of one person.'),
  })
  .refine(given => Object.keys(given).some(key => key !== 'on' && key !== 'roles'), {
    error: 'this needs time, connections or statements_per_minute',
    when: onlyIfSound,
  })

/** A word for every target, or one for each; the stricter word wins where two apply. */
const perTarget = <const T extends readonly [string, ...string[]]>(from: T) => {
  const word = z.enum(from, { error: from.join(' or ') })
  const phrase = `${from.join(' or ')}, or a map of targets to that`
  return z.union([word.transform(one => ({ '*': one })), z.record(z.string(), word)], {
    error: phrase,
  })
}

const GIVES = ['allowed', 'masked', 'denied', 'held'] as const
const SHOWN = ['shown', 'redact', 'nullify', 'email', 'token', 'hash', 'keep', 'year'] as const
const shown = z.enum(SHOWN, { error: `one of ${SHOWN.join(', ')}` })

const expectation = z.strictObject({
  sql: z.string({ error: 'a statement' }).min(1, { error: 'a statement' }),
  gives: z.enum(GIVES, { error: `one of ${GIVES.join(', ')}` }),
  rule: text('the name of a rule', /^[a-z][a-z0-9_:-]{0,130}$/).optional(),
  columns: z
    .record(z.string(), shown, { error: 'a map of columns to what is shown of them' })
    .optional()
    .describe('What is shown of columns of the result: a mask, or shown.'),
  rows_estimate: integer(0, 1_000_000_000).optional(),
  in_transaction: z.boolean().optional(),
})

const test = z.strictObject({
  as: z
    .strictObject({
      groups: groups.optional(),
      user: member.optional(),
      via: member.optional(),
      role: name.optional().describe('Default the strongest they have.'),
      grant: z
        .enum(['request', 'break-glass'], { error: 'request or break-glass' })
        .optional()
        .describe('They have the role for a while: it was asked for, or taken.'),
    })
    .refine(({ groups, user }) => groups !== undefined || user !== undefined, {
      error: 'this needs groups, user or both',
      when: onlyIfSound,
    }),
  on: name.describe('The target.'),
  at: text(
    'a time like 2026-03-03T10:00:00+01:00',
    /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/,
  )
    .refine(value => !Number.isNaN(Date.parse(value)), {
      error: 'expected a time there is',
      when: onlyIfSound,
    })
    .optional()
    .describe('When. Default Wednesday 2026-01-07, noon, UTC.'),
  expect: listOf(expectation, 'a list of { sql, gives, rule }'),
})

/** The whole of a policy file. */
export const policySchema = z.strictObject({
  version: z.literal(1, { error: 'version 1' }),
  roles: roles.default({}),
  people: z
    .array(entry, { error: 'a list of { groups, users, roles }' })
    .default([])
    .describe('Groups and users of the identity provider, and their roles.'),
  access: z
    .array(access, { error: 'a list of { grant, max, approve }' })
    .default([])
    .describe('How a role can be had for a while: `dbgate request`.'),
  rules: z
    .array(rule, { error: 'a list of { name, on, when, then }' })
    .default([])
    .describe('Under what a role may do. All that match count, the strictest wins.'),
  masks: z
    .array(mask, { error: 'a list of { labels, columns, mask }' })
    .default([])
    .describe('What is not shown. Of all that fit a column the strictest counts.'),
  limits: z
    .array(limit, { error: 'a list of { on, roles, time, connections }' })
    .default([])
    .describe('All that apply count, the smallest wins.'),
  functions: z
    .record(
      text('a function like total or app.total', /^[^\p{Cc}\s.*]{1,63}(\.[^\p{Cc}\s.*]{1,63})?$/u),
      z.enum(['reads', 'writes', 'admin'], { error: 'reads, writes or admin' }),
      { error: 'a map of functions to reads, writes or admin' },
    )
    .default({})
    .describe('What functions do whose code cannot be read. Unlisted ones count as writing.'),
  unknown: perTarget(['deny', 'hold'])
    .optional()
    .describe(
      'What cannot be understood, for each target or environment. Default deny in production.',
    ),
  mode: perTarget(['enforce', 'observe'])
    .optional()
    .describe('observe denies and holds nothing, and puts on record what would have been.'),
  tests: z
    .array(test, { error: 'a list of { as, on, expect }' })
    .default([])
    .describe('Run by `dbgate policy test`.'),
})

/** A policy file as validated. */
export type PolicyFile = z.output<typeof policySchema>
