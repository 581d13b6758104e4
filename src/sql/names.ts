import type { Name } from './raw.ts'

const PART = /^(?:"((?:[^"]|"")+)"|([A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*))$/

/**
 * Reads a name as `regclass` does: `orders`, `Public.Orders`, `"My schema".t`. Undefined when it
 * isn't one.
 *
 * Source: stringToQualifiedNameList() and SplitIdentifierString() in PostgreSQL's
 * utils/adt/varlena.c.
 */
export function parseName(text: string): Name | undefined {
  const parts = splitName(text)?.map(part => {
    const match = PART.exec(part.trim())
    if (match === null) return undefined
    return match[1]?.replaceAll('""', '"') ?? match[2]?.toLowerCase()
  })
  if (parts === undefined || parts.length === 0 || parts.length > 3) return undefined
  const name = parts.at(-1)
  if (name === undefined || parts.includes(undefined)) return undefined
  return { schema: parts.at(-2), name }
}

/** Cuts at dots outside of quotes. */
function splitName(text: string): string[] | undefined {
  const pieces = text.split('"')
  if (pieces.length % 2 === 0) return undefined
  const parts = ['']
  pieces.forEach((piece, i) => {
    const isQuoted = i % 2 === 1
    const [first = '', ...more] = isQuoted ? [`"${piece}"`] : piece.split('.')
    parts.push(`${parts.pop() ?? ''}${first}`, ...more)
  })
  return parts
}
