/**
 * The kinds of value both files are made of, as zod schemas. Each says what it expects as a noun phrase
 * (`a duration like 30s`): problems read "expected …", and the same words serve as the JSON Schema's description.
 */

import { z } from 'zod'

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const UNIT_BYTES = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const

/** A string that must match, saying in words what it should look like. */
export const text = (phrase: string, pattern: RegExp) =>
  z.string({ error: phrase }).regex(pattern, { error: phrase })

/** `30s`, `15m`, `4h`, `400d` as milliseconds, within bounds that are part of what is expected. */
export function duration(minMs: number, maxMs: number, units: 'smhd' | 'ms and up' = 'smhd') {
  const like = units === 'smhd' ? '30s, 15m, 4h or 400d' : '50ms, 1s or 1m'
  const phrase = `a duration like ${like}`
  const pattern = units === 'smhd' ? /^[0-9]+[smhd]$/ : /^[0-9]+(ms|[smhd])$/
  return text(phrase, pattern)
    .transform(toMs)
    .refine(ms => ms >= minMs && ms <= maxMs, {
      error: `expected between ${spellMs(minMs)} and ${spellMs(maxMs)}`,
    })
}

function toMs(value: string): number {
  const [, digits = '', unit = 's'] = /^([0-9]+)(ms|[smhd])$/.exec(value) ?? []
  const factor = unit === 'ms' ? UNIT_MS.ms : UNIT_MS[unit as 's' | 'm' | 'h' | 'd']
  return Number(digits) * factor
}

function spellMs(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms >= UNIT_MS[unit] && ms % UNIT_MS[unit] === 0) return `${ms / UNIT_MS[unit]}${unit}`
  }
  return `${ms}ms`
}

/** `64KiB`, `16MiB`, `1GiB` as bytes. */
export function size(minBytes: number, maxBytes: number) {
  return text('a size like 64KiB, 16MiB or 1GiB', /^[0-9]+(KiB|MiB|GiB)$/)
    .transform(value => {
      const unit = value.slice(-3) as keyof typeof UNIT_BYTES
      return Number(value.slice(0, -3)) * UNIT_BYTES[unit]
    })
    .refine(bytes => bytes >= minBytes && bytes <= maxBytes, {
      error: `expected between ${minBytes / 1024}KiB and ${maxBytes / 1024 ** 2}MiB`,
    })
}

/** A whole number within bounds. */
export const integer = (min: number, max: number) =>
  z
    .int({ error: `a whole number from ${min} to ${max}` })
    .min(min, { error: `a whole number from ${min} to ${max}` })
    .max(max, { error: `a whole number from ${min} to ${max}` })

const NAME = /^[a-z][a-z0-9_-]{0,62}$/
const NAME_PHRASE = 'a name of lower-case letters, digits, - and _, starting with a letter'

/** How targets, roles and issuers are named: they stand in URLs, commands and file names. */
export const name = text(NAME_PHRASE, NAME)

/** What is expected of a name, where this is not one. */
export const wrongName = (word: string) => (NAME.test(word) ? undefined : `expected ${NAME_PHRASE}`)

/**
 * A map from names to something. Its keys are checked in cross-checks.ts: zod would not look into a value
 * whose key is wrong, and hide what else is wrong there.
 */
export const namedMap = <T extends z.ZodType>(value: T, phrase: string) =>
  z
    .record(z.string(), value, { error: phrase })
    .meta({ propertyNames: { type: 'string', pattern: NAME.source } })

/** One line of text for people. */
export const title = text('one line of text', /^[^\p{Cc}]{1,100}$/u)

/** A group or a user as the identity provider spells it. */
export const member = text('a name as the identity provider spells it', /^[^\p{Cc}]{1,320}$/u)

/** A non-empty list. */
export const listOf = <T extends z.ZodType>(item: T, phrase: string) =>
  z.array(item, { error: phrase }).min(1, { error: `${phrase} with at least one entry` })

/** A path in the file system. */
export const path = text('a path', /^[^\p{Cc}]+$/u)

/** An address to listen on, as host and port. */
export const address = text(
  'an address like 0.0.0.0:443 or [::]:443',
  /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$/,
)
  .transform(value => {
    const colon = value.lastIndexOf(':')
    return {
      host: value.slice(0, colon).replace(/^\[|\]$/g, ''),
      port: Number(value.slice(colon + 1)),
    }
  })
  .refine(({ port }) => port <= 65_535, { error: 'expected a port from 0 to 65535' })

const envName = text('the name of an environment variable, in capitals', /^[A-Z_][A-Z0-9_]*$/)

const command = listOf(
  text('a command or an argument', /^[^\0]*$/),
  'a list: the program, then its arguments (no shell)',
)
const timeout = duration(1000, 300_000).default(10_000)
const cache = duration(0, 86_400_000).default(300_000)

/** Where a target's login comes from, as written in the file. */
export const credential = z.discriminatedUnion(
  'from',
  [
    z.strictObject({
      from: z.literal('env'),
      user: envName.describe('Environment variable that holds the user name.'),
      password: envName.describe('Environment variable that holds the password.'),
    }),
    z.strictObject({
      from: z.literal('file'),
      path: path.describe('JSON file {"user": …, "password": …}, mode 0600, owned by dbgate.'),
    }),
    z.strictObject({
      from: z.literal('exec'),
      command: command.describe('Prints {"user": …, "password": …}, or only a password.'),
      user: text('a PostgreSQL user name', /^[^\p{Cc}]{1,63}$/u)
        .optional()
        .describe('User name, where the command prints only a password.'),
      timeout: timeout.describe('How long the command may take. Default 10s.'),
      cache: cache.describe('How long its answer is used again. Default 5m.'),
    }),
  ],
  { error: 'a source like { from: env, user: PG_USER, password: PG_PASSWORD }' },
)

/** Where a single secret comes from, as written in the file. */
export const secret = z.discriminatedUnion(
  'from',
  [
    z.strictObject({ from: z.literal('env'), value: envName }),
    z.strictObject({ from: z.literal('file'), path }),
    z.strictObject({ from: z.literal('exec'), command, timeout, cache }),
  ],
  { error: 'a source like { from: file, path: /etc/dbgate/secret }' },
)
