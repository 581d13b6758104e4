/** Turns what zod found into problems that point at a line and say what was expected there. */

import { z } from 'zod'
import { laterKey, laterValue } from './later.ts'
import { nearest, type Problem } from './problems.ts'
import type { Path, Source } from './yaml.ts'

type Issue = z.core.$ZodIssue
const NO_SECRETS = 'No secret stands in this file: name where it comes from, with `from:`.'
const PASSWORD = /^(password|passwd|pwd)$/i

/** Validates a file. `output` is missing exactly when there is a problem. */
export function validate<T extends z.ZodType>(
  schema: T,
  source: Source,
): { readonly output?: z.output<T>; readonly problems: readonly Problem[] } {
  const problems = [...source.problems]
  if (source.isBroken) return { problems }
  const passwords = plainPasswords(source.value, [])
  for (const path of passwords) {
    problems.push(source.problemAtKey(path, 'a plain password is refused here', NO_SECRETS))
  }
  const reported = new Set(passwords.map(path => JSON.stringify(path)))
  const result = schema.safeParse(source.value)
  if (!result.success) {
    const explain = new Explain(source, z.toJSONSchema(schema, { io: 'input' }), reported)
    for (const issue of result.error.issues) problems.push(...explain.issue(issue, []))
  }
  return result.success && problems.length === 0 ? { output: result.data, problems } : { problems }
}

/** Every key called password, save the one that names an environment variable. */
function plainPasswords(value: unknown, path: Path): Path[] {
  if (Array.isArray(value)) return value.flatMap((item, i) => plainPasswords(item, [...path, i]))
  if (!isRecord(value)) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = [...path, key]
    const isPlain = PASSWORD.test(key) && !(key === 'password' && value.from === 'env')
    return [...(isPlain ? [here] : []), ...plainPasswords(inner, here)]
  })
}

class Explain {
  private readonly source: Source
  private readonly schema: unknown
  private readonly reported: ReadonlySet<string>

  constructor(source: Source, schema: unknown, reported: ReadonlySet<string>) {
    this.source = source
    this.schema = schema
    this.reported = reported
  }

  issue(issue: Issue, above: Path): Problem[] {
    const path = [...above, ...issue.path.map(step => (typeof step === 'symbol' ? '' : step))]
    if (issue.code === 'unrecognized_keys') return issue.keys.flatMap(key => this.key(path, key))
    if (issue.code === 'invalid_key') {
      const wanted = issue.issues[0]?.message ?? 'another name'
      return [this.source.problemAtKey(path, `expected ${wanted}`)]
    }
    if (issue.code === 'invalid_union') {
      const inner =
        issue.errors.find(branch => branch.some(isTelling)) ??
        issue.errors.find(branch => branch.some(isChoice))
      if (inner !== undefined) return inner.flatMap(each => this.issue(each, path))
    }
    if (issue.code === 'custom') return [this.source.problemAt(path, issue.message)]
    return [this.value(issue, path)]
  }

  private key(path: Path, key: string): Problem[] {
    const here = [...path, key]
    if (this.reported.has(JSON.stringify(here))) return []
    const reason = laterKey(here)
    if (reason !== undefined) return [this.source.problemAtKey(here, `"${key}": ${reason}`)]
    const valid = keysAt(this.schema, this.source.value, path)
    const near = nearest(key, valid)
    return [
      this.source.problemAtKey(
        here,
        `unknown key "${key}"${near === undefined ? '' : `, did you mean "${near}"?`}`,
        near === undefined ? `Valid here: ${valid.join(', ')}.` : undefined,
      ),
    ]
  }

  private value(issue: Issue, path: Path): Problem {
    const wanted = expected(issue)
    const found = valueAt(this.source.value, path)
    if (found === undefined) {
      const key = String(path.at(-1) ?? '')
      const missing = path.length === 0 ? 'the file is empty' : `missing key "${key}"`
      return this.source.problemAtKey(path.slice(0, -1), `${missing}: expected ${wanted}`)
    }
    const reason = laterValue(path, found)
    if (reason !== undefined) {
      const label = reason.startsWith('not ') ? `"${String(found)}": ` : ''
      return this.source.problemAt(path, `${label}${reason}`)
    }
    const got = issue.code === 'invalid_type' ? `, got ${kindOf(found)}` : ''
    return this.source.problemAt(path, `expected ${wanted}${got}`, hintFor(issue, path, found))
  }
}

/** In a union the branch that fails deeper in, or for more than its type, is the one that was meant. */
function isTelling(issue: Issue): boolean {
  return (
    issue.path.length > 0 ||
    issue.code === 'custom' ||
    issue.code === 'too_small' ||
    issue.code === 'unrecognized_keys'
  )
}

/** One of several words was expected, so that the nearest of them can be named. */
function isChoice(issue: Issue): boolean {
  return issue.code === 'invalid_value' && issue.values.length > 1
}

const KINDS: Record<string, string> = {
  object: 'a map',
  record: 'a map',
  array: 'a list',
  string: 'text',
  boolean: 'true or false',
}

function expected(issue: Issue): string {
  if (issue.code === 'invalid_union' && 'options' in issue && Array.isArray(issue.options)) {
    const options = issue.options.filter(option => typeof option === 'string')
    return `one of ${options.join(', ')}`
  }
  if (!issue.message.startsWith('Invalid')) return issue.message
  if (issue.code === 'invalid_type') return KINDS[issue.expected] ?? issue.expected
  return 'something else'
}

function hintFor(issue: Issue, path: Path, found: unknown): string | undefined {
  if (issue.code === 'invalid_type' && issue.expected === 'boolean') {
    return 'Only true and false are booleans; yes, no, on and off are text.'
  }
  const key = String(path.at(-1))
  if (key === 'password' || /secret$/.test(key)) return NO_SECRETS
  const options = 'options' in issue ? issue.options : 'values' in issue ? issue.values : undefined
  if (typeof found !== 'string' || !Array.isArray(options)) return undefined
  const near = nearest(
    found,
    options.filter(option => typeof option === 'string'),
  )
  return near === undefined ? undefined : `Did you mean ${near}?`
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'string') return 'text'
  return typeof value === 'object' ? 'a map' : String(value)
}

/** The keys a map may have at a path, as the JSON Schema says. */
function keysAt(schema: unknown, value: unknown, path: Path): string[] {
  if (!isRecord(schema)) return []
  const branches = [schema.oneOf, schema.anyOf].find(Array.isArray)
  if (branches !== undefined) {
    const fitting = branches.filter(branch => fits(branch, value))
    const chosen = fitting.length > 0 ? fitting : branches
    return [...new Set(chosen.flatMap(branch => keysAt(branch, value, path)))]
  }
  const [step, ...rest] = path
  const properties = isRecord(schema.properties) ? schema.properties : {}
  if (step === undefined) return Object.keys(properties)
  const inner =
    typeof step === 'number' ? schema.items : (properties[step] ?? schema.additionalProperties)
  return keysAt(inner, valueAt(value, [step]), rest)
}

/** Whether a branch of a union is the one whose fixed keys (`from: env`) the value has. */
function fits(branch: unknown, value: unknown): boolean {
  if (!isRecord(branch) || !isRecord(value) || !isRecord(branch.properties)) return false
  return Object.entries(branch.properties).every(([key, inner]) => {
    if (!isRecord(inner) || inner.const === undefined) return true
    return (value[key] ?? inner.default) === inner.const
  })
}

/** The value at a path, or undefined where the path leads nowhere. */
export function valueAt(value: unknown, path: Path): unknown {
  let here = value
  for (const step of path) {
    if (Array.isArray(here)) here = typeof step === 'number' ? here[step] : undefined
    else if (isRecord(here)) here = Object.hasOwn(here, step) ? here[step] : undefined
    else return undefined
  }
  return here
}

/** A map with string keys, and neither a list nor null. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
