/** What may stand under `masks:` in a policy file. */

import { z } from 'zod'
import { oneOrMore, onlyIfSound } from './policy-conditions.ts'
import { DETECTORS } from './policy-words.ts'
import { integer, listOf, member, name, text } from './values.ts'

const WORDS = ['redact', 'nullify', 'email', 'hash', 'token', 'year'] as const
const MASK_PHRASE = `${WORDS.join(', ')}, { keep_last: 4 } or { keep_first: 2 }`
const KEPT = { keep_last: integer(1, 8), keep_first: integer(1, 8) }

const keep = z
  .strictObject(KEPT)
  .partial()
  .refine(kept => Object.keys(kept).length > 0, {
    error: 'this needs keep_last, keep_first or both',
    when: onlyIfSound,
  })

const mask = z.union([z.enum(WORDS, { error: `one of ${WORDS.join(', ')}` }), keep], {
  error: MASK_PHRASE,
})

const LABEL = /^[\p{L}\p{N}_*][\p{L}\p{N}_*:.-]{0,62}$/u

const labels = z
  .record(text('a label like pii:email or pii:*', LABEL), mask, {
    error: 'a map of labels to masks, like { "pii:email": email, "pii:*": redact }',
  })
  .refine(given => Object.keys(given).length > 0, { error: 'labels needs at least one label' })

const column = text(
  'a column like users.email, public.users.ssn or *.password*',
  /^[^\p{Cc}\s.]+\.[^\p{Cc}\s.]+(\.[^\p{Cc}\s.]+)?$/u,
)

const detector = z.enum(DETECTORS, { error: `one of ${DETECTORS.join(', ')}` })

/** One entry of `masks:`; what an approval looks like is the rules' own. */
export const maskEntry = <T extends z.ZodType>(
  hold: T,
  on: z.ZodType<string[], string[] | undefined>,
) =>
  z
    .strictObject({
      on,
      roles: listOf(name, 'a list of roles').optional().describe('Default all.'),
      via: oneOrMore(
        text('a name like claude, psql or cursor*', /^[^\p{Cc}]{1,64}$/u),
        'agent, or the name of a tool',
      )
        .optional()
        .describe('Only for this tool, by its own word; agent means any known AI agent.'),
      labels: labels
        .optional()
        .describe(
          "By labels in comments: COMMENT ON COLUMN users.email IS '... @dbgate pii:email'. Of several that fit, the most exact counts.",
        ),
      columns: listOf(column, 'a list of columns')
        .optional()
        .describe('By name; without a schema: in every schema. * is any run of characters.'),
      values: z
        .strictObject({ matches: oneOrMore(detector, `one or more of ${DETECTORS.join(', ')}`) })
        .optional()
        .describe('By what texts look like, in any column. A last resort: it can be got around.'),
      mask: mask.optional().describe('What is shown instead; labels say it for each.'),
      reveal: listOf(member, 'a list of groups').optional().describe('Groups that see the value.'),
      domain: name
        .optional()
        .describe('With hash: columns of one domain give the same token for the same value.'),
      filters: z
        .union(
          [z.enum(['deny', 'equality', 'allow'], { error: 'deny, equality or allow' }), hold],
          { error: 'deny, equality, allow or a map with approve' },
        )
        .optional()
        .describe(
          'Use in WHERE, JOIN, GROUP BY, ORDER BY and the like, which tells what is not shown. Default equality for hash, else deny.',
        ),
      writes: z
        .union([z.enum(['deny', 'allow'], { error: 'deny or allow' }), hold], {
          error: 'deny, allow or a map with approve',
        })
        .optional()
        .describe('Writing the column. Default allow; what a mask made is never written.'),
      derived: z
        .enum(['deny', 'redact'], { error: 'deny or redact' })
        .optional()
        .describe(
          'Expressions whose failing could tell the value. Default deny; redact shows NULL instead.',
        ),
    })
    .refine(({ labels, columns, values }) => [labels, columns, values].some(isThere), {
      error: 'this needs labels, columns or values',
      when: onlyIfSound,
    })

function isThere(value: unknown): boolean {
  return value !== undefined
}
