import { DbgateError } from '../errors.ts'

/** What a key's values are compared with. */
export type FactKey =
  | 'user'
  | 'target'
  | 'verdict'
  | 'table'
  | 'class'
  | 'kind'
  | 'via'
  | 'rule'
  | 'session'
  | 'role'
  | 'request'
export type ColumnKey = 'outcome' | 'sqlstate' | 'background' | 'masked' | 'id'
export type NumberKey = 'rows' | 'ms'
export type Comparison = '>' | '>=' | '<' | '<=' | '='

/**
 * One part of a query. All parts of a query must hold; the values of one part are alternatives.
 *
 * Shape: `text` a word or quoted phrase of the SQL; `fact` something known when the statement was judged;
 * `column` and `number` something known when it was over.
 */
export type Term = { readonly isNegated: boolean } & (
  | { readonly is: 'text'; readonly text: string }
  | { readonly is: 'fact'; readonly key: FactKey; readonly values: readonly string[] }
  | { readonly is: 'column'; readonly key: ColumnKey; readonly values: readonly string[] }
  | {
      readonly is: 'number'
      readonly key: NumberKey
      readonly comparison: Comparison
      readonly value: number
    }
)

/** Every key, with what people also call it. */
const KEYS: Readonly<Record<string, FactKey | ColumnKey | NumberKey>> = {
  user: 'user',
  connection: 'target',
  target: 'target',
  verdict: 'verdict',
  table: 'table',
  class: 'class',
  kind: 'kind',
  via: 'via',
  rule: 'rule',
  session: 'session',
  role: 'role',
  request: 'request',
  masked: 'masked',
  background: 'background',
  id: 'id',
  outcome: 'outcome',
  sqlstate: 'sqlstate',
  rows: 'rows',
  ms: 'ms',
}

/** Verdicts as people say them → as they are on record. */
const VERDICTS: Readonly<Record<string, string>> = {
  allow: 'allow',
  allowed: 'allow',
  deny: 'deny',
  denied: 'deny',
  hold: 'hold',
  held: 'hold',
  approve: 'approved',
  approved: 'approved',
}

/**
 * Reads a query: words and quoted phrases of the SQL, and `key:value`, all of which must hold. `-` before
 * one turns it round, a comma separates alternatives, quotes keep blanks and commas together.
 *
 * Throws: USAGE (22023) an unknown key (with the list of keys), an unclosed quote, a value that cannot be.
 */
export function parseQuery(query: string): Term[] {
  const reader = { text: query, at: 0 }
  const terms: Term[] = []
  for (;;) {
    skipBlanks(reader)
    if (reader.at >= query.length) return terms
    terms.push(readTerm(reader))
  }
}

type Reader = { readonly text: string; at: number }

function skipBlanks(reader: Reader): void {
  while (/\s/.test(reader.text[reader.at] ?? '')) reader.at++
}

function readTerm(reader: Reader): Term {
  const rest = reader.text.slice(reader.at)
  const isNegated = rest.startsWith('-') && /^-\S/.test(rest)
  if (isNegated) reader.at++
  const key = /^([A-Za-z][\w-]*):/.exec(reader.text.slice(reader.at, reader.at + 64))?.[1]
  if (key === undefined) return { is: 'text', isNegated, text: readValues(reader, false)[0] ?? '' }
  reader.at += key.length + 1
  return keyTerm(isNegated, key, readValues(reader, true))
}

/** Reads up to the next blank; `isList`: commas outside quotes separate values. */
function readValues(reader: Reader, isList: boolean): string[] {
  const values = ['']
  while (reader.at < reader.text.length) {
    const char = reader.text[reader.at] ?? ''
    if (/\s/.test(char)) break
    reader.at++
    if (char === '"') values.push((values.pop() ?? '') + readQuoted(reader))
    else if (char === ',' && isList) values.push('')
    else values.push((values.pop() ?? '') + char)
  }
  return values
}

function readQuoted(reader: Reader): string {
  const end = reader.text.indexOf('"', reader.at)
  if (end === -1) throw usage('a quote is not closed', 'Quotes keep a phrase together: "a phrase".')
  const text = reader.text.slice(reader.at, end)
  reader.at = end + 1
  return text
}

function keyTerm(isNegated: boolean, name: string, values: string[]): Term {
  const key = Object.hasOwn(KEYS, name.toLowerCase()) ? KEYS[name.toLowerCase()] : undefined
  if (key === undefined) {
    const keys = Object.keys(KEYS).join(', ')
    throw usage(
      `unknown key ${JSON.stringify(name)}`,
      `The keys are ${keys}. To search for it in the SQL, put it in quotes.`,
    )
  }
  if (values.some(value => value === '')) throw usage(`${name}: has no value`, `As in ${name}:x.`)
  if (key === 'rows' || key === 'ms') return numberTerm(isNegated, key, values)
  const folded = values.map(value => value.toLowerCase())
  if (key === 'background') return backgroundTerm(isNegated, folded)
  if (key === 'outcome' || key === 'sqlstate' || key === 'masked' || key === 'id') {
    return { is: 'column', isNegated, key, values: key === 'outcome' ? folded : values }
  }
  if (folded.some(value => value.slice(0, -1).includes('*') || value === '*')) {
    throw usage(`${name}: has * in the middle`, 'A * may stand at the end of a value only.')
  }
  return { is: 'fact', isNegated, key, values: key === 'verdict' ? folded.map(verdict) : folded }
}

function backgroundTerm(isNegated: boolean, values: readonly string[]): Term {
  const wanted = values.map(value => {
    if (value === 'yes' || value === 'no') return value === 'yes' ? '1' : '0'
    throw usage(`background: is not ${JSON.stringify(value)}`, 'It is yes, no, or yes,no for both.')
  })
  return { is: 'column', isNegated, key: 'background', values: wanted }
}

function verdict(value: string): string {
  const known = Object.hasOwn(VERDICTS, value) ? VERDICTS[value] : undefined
  if (known !== undefined) return known
  throw usage(
    `unknown verdict ${JSON.stringify(value)}`,
    'It is allowed, denied, held or approved.',
  )
}

function numberTerm(isNegated: boolean, key: NumberKey, values: string[]): Term {
  const match = /^(>=|<=|>|<|=)?(\d{1,15})$/.exec(values.join(','))
  if (match === null) {
    throw usage(`${key}: has no number`, `As in ${key}:>1000; >=, <, <= and = go as well.`)
  }
  const [, sign = '=', digits] = match
  return { is: 'number', isNegated, key, comparison: comparison(sign), value: Number(digits) }
}

function comparison(sign: string): Comparison {
  return sign === '>' || sign === '>=' || sign === '<' || sign === '<=' ? sign : '='
}

function usage(message: string, detail: string): DbgateError {
  return new DbgateError('USAGE', `audit query: ${message}`, { detail })
}
