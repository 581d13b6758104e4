/**
 * A YAML 1.2 text as plain values, with the place of every key and value kept, so that whatever is found wrong
 * later can be shown where it stands. Stricter than YAML: no tags, no duplicate keys, one document.
 */

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from 'yaml'
import { excerptOf, type Problem } from './problems.ts'

/** Steps from the top of a document to a key or an item. */
export type Path = readonly (string | number)[]

/** A parsed file: its value, what its syntax got wrong, and a way to point into it. */
export type Source = {
  readonly file: string
  readonly value: unknown
  readonly problems: readonly Problem[]
  /** The syntax is so wrong that the value is not what anybody meant. */
  readonly isBroken: boolean
  /** A problem at the value of a path, or at the nearest thing above it that stands in the file. */
  problemAt(path: Path, message: string, hint?: string): Problem
  /** A problem at the key that ends a path rather than at its value. */
  problemAtKey(path: Path, message: string, hint?: string): Problem
  /** `file:line` of a path, for reports that name where a rule came from. */
  lineOf(path: Path): string
}

const MAX_NODES = 100_000

/** Reads a text. Never throws: syntax errors are among `problems`, and `value` is then what could be read. */
export function readYaml(file: string, text: string): Source {
  const counter = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: counter,
    version: '1.2',
    schema: 'core',
    strict: true,
    uniqueKeys: true,
    prettyErrors: false,
    logLevel: 'silent',
  })
  const problemAt = pointer(file, text, counter)
  const problems = [
    ...document.errors.map(({ pos, code, message }) =>
      problemAt(pos[0], [], yamlMessage(code, message, text, pos)),
    ),
    ...document.warnings.map(({ pos }) => problemAt(pos[0], [], 'tags are not used here')),
  ]
  const walk = new Walk(document, (offset, path, message) =>
    problems.push(problemAt(offset, path, message)),
  )
  const value = walk.value(document.contents, [], document.range?.[0] ?? 0)
  const { placeOf } = walk
  return {
    file,
    value,
    problems,
    isBroken: document.errors.some(error => error.code !== 'DUPLICATE_KEY'),
    problemAt: (path, message, hint) => problemAt(placeOf(path, 'value'), path, message, hint),
    problemAtKey: (path, message, hint) => problemAt(placeOf(path, 'key'), path, message, hint),
    lineOf: path => `${file}:${counter.linePos(placeOf(path, 'key')).line || 1}`,
  }
}

/** Makes problems at an offset of a text. */
function pointer(file: string, text: string, counter: LineCounter) {
  const lines = text.split(/\r?\n/)
  return (offset: number, path: Path, message: string, hint?: string): Problem => {
    const { line, col } = counter.linePos(Math.min(offset, text.length))
    return {
      file,
      line: Math.max(line, 1),
      column: Math.max(col, 1),
      path: path.join('.'),
      message,
      excerpt: excerptOf(lines[line - 1] ?? ''),
      ...(hint === undefined ? {} : { hint }),
    }
  }
}

/** A file that could not be read at all: one problem, and nothing else to check. */
export function unreadSource(file: string, message: string): Source {
  const problem: Problem = { file, line: 1, column: 1, path: '', message, excerpt: '' }
  return {
    file,
    value: undefined,
    problems: [problem],
    isBroken: true,
    problemAt: () => problem,
    problemAtKey: () => problem,
    lineOf: () => file,
  }
}

type Place = { readonly key: number; readonly value: number }
type Contents = Node | null

const keyOf = (path: Path) => JSON.stringify(path)

/** Turns nodes into values by hand: toJS() would stringify odd keys and expand aliases without end. */
class Walk {
  readonly #document: Document
  readonly #report: (offset: number, path: Path, message: string) => void
  readonly #places = new Map<string, Place>()
  #nodes = 0

  constructor(document: Document, report: (offset: number, path: Path, message: string) => void) {
    this.#document = document
    this.#report = report
  }

  /** The offset of a path's key or value, or of the nearest thing above it that stands in the file. */
  readonly placeOf = (path: Path, which: 'key' | 'value'): number => {
    for (let length = path.length; length >= 0; length -= 1) {
      const place = this.#places.get(keyOf(path.slice(0, length)))
      if (place !== undefined) {
        return length === path.length && which === 'value' ? place.value : place.key
      }
    }
    return 0
  }

  #resolve(node: Contents, path: Path): Contents {
    if (!isAlias(node)) return node
    const target = node.resolve(this.#document)
    if (target === undefined) {
      this.#report(node.range?.[0] ?? 0, path, 'this alias has no anchor before it')
    }
    return target ?? null
  }

  value(given: Contents, path: Path, keyOffset: number): unknown {
    const node = this.#resolve(given, path)
    const offset = given?.range?.[0] ?? keyOffset
    this.#places.set(keyOf(path), { key: keyOffset, value: offset })
    this.#nodes += 1
    if (this.#nodes > MAX_NODES || path.length > 64) {
      if (this.#nodes === MAX_NODES + 1) this.#report(offset, path, 'the file has too many values')
      return undefined
    }
    if (isMap(node)) return this.#map(node, path, offset)
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        const here = asNode(item)
        return this.value(here, [...path, index], here?.range?.[0] ?? offset)
      })
    }
    return isScalar(node) ? node.value : null
  }

  #map(node: YAMLMap, path: Path, offset: number): Record<string, unknown> {
    const result: Record<string, unknown> = {}
    for (const { key, value } of node.items) {
      const keyNode = asNode(key)
      const at = keyNode?.range?.[0] ?? offset
      if (!isScalar(keyNode) || keyNode.value === null) {
        this.#report(at, path, 'a key must be a plain word')
        continue
      }
      const name = String(keyNode.value)
      if (name === '__proto__') {
        this.#report(at, path, 'unknown key "__proto__"')
        continue
      }
      result[name] = this.value(asNode(value), [...path, name], at)
    }
    return result
  }
}

function asNode(value: unknown): Contents {
  return isMap(value) || isSeq(value) || isScalar(value) || isAlias(value) ? value : null
}

/** The parser's own words, without a value in them; duplicate keys are named. */
function yamlMessage(
  code: string,
  message: string,
  text: string,
  [from, to]: readonly [number, number],
): string {
  if (code === 'DUPLICATE_KEY') {
    const key = /^["']?([\w.-]+)/.exec(text.slice(from, Math.max(to, from + 80)))?.[1] ?? ''
    return `key "${key}" stands here twice`
  }
  if (code === 'MULTIPLE_DOCS') return 'one document a file: remove the "---"'
  if (code === 'TAB_AS_INDENT') return 'YAML is indented with spaces, not tabs'
  if (code === 'TAG_RESOLVE_FAILED') return 'tags are not used here'
  const first = (message.split('\n')[0] ?? message).replace(/(extra characters): .*/, '$1')
  return `not valid YAML: ${first.charAt(0).toLowerCase()}${first.slice(1)}`
}
