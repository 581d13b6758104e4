/** What may stand under a rule's `when:`. */

import { z } from 'zod'
import { isTimeZone, nearestTimeZone, readTimeWindow, type TimeWindow } from './policy-time.ts'
import { CLASSES, GRANTS, HAZARDS, nearestKind, readKind, WHERES } from './policy-words.ts'
import { listOf, member, name, text } from './values.ts'

/** One value or a list of them; either way the program sees a list. */
export const oneOrMore = <T extends z.ZodType<unknown, string>>(item: T, phrase: string) =>
  z.union([item.transform((one: z.output<T>) => [one]), listOf(item, phrase)], { error: phrase })

const chosen = <const T extends readonly [string, ...string[]]>(from: T) =>
  oneOrMore(
    z.enum(from, { error: `one of ${from.join(', ')}` }),
    `one or more of ${from.join(', ')}`,
  )

/** A value that is read into something else, or refused in words of its own. */
function readInto<T>(
  phrase: string,
  read: (typed: string) => T | undefined,
  suggest: (typed: string) => string | undefined = () => undefined,
) {
  return z.string({ error: phrase }).transform((typed, context): T => {
    const found = read(typed)
    if (found !== undefined) return found
    const near = suggest(typed)
    const message = `expected ${phrase}${near === undefined ? '' : `, did you mean "${near}"?`}`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })
}

const KIND_PHRASE = 'a kind of statement like DELETE, DROP TABLE or COPY PROGRAM'
const kind = readInto(KIND_PHRASE, readKind, nearestKind)

const relation = text(
  'a table like orders, public.orders or audit.*',
  /^[^\p{Cc}\s.]+(\.[^\p{Cc}\s.]+)?$/u,
)
const callable = text('a function like lo_import, dblink* or app.*', /^[^\p{Cc}\s]{1,130}$/u)
const setting = text('a setting like search_path or app.*', /^[A-Za-z_*][A-Za-z0-9_.*]*$/)
const label = text('a name like claude, psql or cursor*', /^[^\p{Cc}]{1,64}$/u)

const WINDOW_PHRASE = 'a window like "Mon-Fri 07:00-19:00", "Sat,Sun" or "22:00-06:00"'
const windows = oneOrMore(readInto<TimeWindow>(WINDOW_PHRASE, readTimeWindow), WINDOW_PHRASE)
const zone = readInto(
  'a time zone like Europe/Berlin',
  typed => (isTimeZone(typed) ? typed : undefined),
  nearestTimeZone,
)

/** Said only where nothing else is wrong: a key that is misspelled is a key that was meant. */
export const onlyIfSound = ({ issues }: z.core.ParsePayload) => issues.length === 0

const time = z
  .strictObject({
    inside: windows.optional().describe('Matches while the clock is in one of these.'),
    outside: windows.optional().describe('Matches while the clock is in none of these.'),
    zone: zone.default('UTC').describe('Whose clock. Default UTC.'),
  })
  .refine(({ inside, outside }) => (inside === undefined) !== (outside === undefined), {
    error: 'time needs either inside or outside',
    when: onlyIfSound,
  })

/** More rows than this. */
export type RowsEstimate = { readonly text: string; readonly atLeast: number }

function readRowsEstimate(typed: string): RowsEstimate | undefined {
  const [, sign, digits = ''] = /^\s*(>=?)\s*(\d{1,15})\s*$/.exec(typed) ?? []
  if (sign === undefined) return undefined
  const rows = Number(digits)
  return { text: `${sign} ${rows}`, atLeast: sign === '>' ? rows + 1 : rows }
}

const KEYS = {
  class: chosen(CLASSES).describe('What it does, found anywhere in it; ddl is a change of schema.'),
  kind: oneOrMore(kind, `${KIND_PHRASE}, or a list of them`).describe(
    'Found anywhere in it, also in a WITH, a cursor or what EXECUTE runs.',
  ),
  tables: oneOrMore(relation, 'a table or a list of tables').describe(
    'Touched in any way. Without a schema: of that name in every schema.',
  ),
  functions: oneOrMore(callable, 'a function or a list of functions').describe('Called by it.'),
  acting_functions: oneOrMore(callable, 'a function or a list of functions').describe(
    'Called by it, and they do more than read or are not known not to.',
  ),
  settings: oneOrMore(setting, 'a setting or a list of settings').describe('Changed by it.'),
  hazards: chosen(HAZARDS).describe('What makes it worse than its class says.'),
  where: chosen(WHERES).describe(
    'Of the weakest UPDATE or DELETE in it. missing takes in trivial: a WHERE that holds nothing back.',
  ),
  groups: oneOrMore(member, 'a group or a list of groups').describe(
    'The person is in one of them.',
  ),
  users: oneOrMore(member, 'a user or a list of users').describe('The person is one of them.'),
  grant: chosen(GRANTS).describe(
    'Where the role comes from. A role taken in an emergency is under all rules that do not say otherwise.',
  ),
  via: oneOrMore(label, 'agent, or the name of a tool').describe(
    'The tool by its own word; agent means any known AI agent. Can only make things stricter.',
  ),
  application: oneOrMore(label, 'an application_name or a list of them').describe(
    "By the client's own word. Can only make things stricter.",
  ),
  environment: oneOrMore(name, 'an environment like production').describe("The target's."),
  time: time.describe('By the clock on the wall.'),
  rows_estimate: readInto('a bound like "> 1000"', readRowsEstimate).describe(
    "By the planner's estimate; one that is not known counts as more.",
  ),
  in_transaction: z.boolean().describe('Whether a transaction is open.'),
}

/** Keys that go by what the client says of itself. */
export const CLIENT_STATED = ['via', 'application'] as const

/** Keys that hold only if all of them do. */
export const conditions = z.strictObject(KEYS).partial()

/** Conditions as validated, spelled as in the file. */
export type ConditionsFile = z.output<typeof conditions>

const block = conditions.refine(keys => Object.keys(keys).length > 0, {
  error: 'this needs at least one key, or it would hold for everything',
  when: onlyIfSound,
})
const blocks = z.union([block.transform(one => [one]), listOf(block, 'a list of conditions')], {
  error: 'a map of conditions, or a list of such maps',
})

/** All of `when:`. */
export const when = z
  .strictObject({
    ...conditions.shape,
    unless: blocks
      .optional()
      .describe('Takes away where one of these holds for everything in the statement.'),
    or: blocks.optional().describe('Adds where one of these holds.'),
  })
  .refine(keys => keys.or === undefined || Object.keys(keys).some(isOwnKey), {
    error: 'or adds to the other keys: there are none',
    when: onlyIfSound,
  })

function isOwnKey(key: string): boolean {
  return key !== 'or' && key !== 'unless'
}
