import type { Node } from 'libpg-query'
import type { Trace } from './lineage-trace.ts'
import type { LineageLiteral, Origin } from './lineage-types.ts'

type Found = Pick<LineageLiteral, 'at' | 'value'>

/** The literal or parameter that an expression is, looking through casts and signs. */
export function literalOf(node: Node | undefined, trace: Trace): Found | undefined {
  if (node === undefined) return undefined
  if ('TypeCast' in node) return literalOf(node.TypeCast.arg, trace)
  if ('CollateClause' in node) return literalOf(node.CollateClause.arg, trace)
  if ('ParamRef' in node) {
    return { at: { parameter: node.ParamRef.number ?? 0 }, value: undefined }
  }
  if (!('A_Const' in node)) return undefined
  const { ival, fval, sval, boolval, bsval, location = 0 } = node.A_Const
  const length = trace.text === undefined ? 0 : tokenLength(trace.text, location)
  const at = { offset: location, length }
  if (sval !== undefined) return { at, value: sval.sval ?? '' }
  if (ival !== undefined) return { at, value: String(ival.ival ?? 0) }
  if (fval !== undefined) return { at, value: fval.fval ?? '' }
  if (boolval !== undefined) return { at, value: boolval.boolval === true ? 'true' : 'false' }
  return { at, value: bsval?.bsval }
}

/** Every literal in a list such as that of IN or ARRAY[…]. */
export function literalsIn(node: Node | undefined, trace: Trace): readonly Found[] {
  if (node === undefined) return []
  const items =
    'List' in node ? node.List.items : 'A_ArrayExpr' in node ? node.A_ArrayExpr.elements : undefined
  if (items !== undefined) return items.flatMap(item => literalsIn(item, trace))
  if ('TypeCast' in node && node.TypeCast.arg !== undefined) {
    return literalsIn(node.TypeCast.arg, trace)
  }
  const literal = literalOf(node, trace)
  return literal === undefined ? [] : [literal]
}

/** Notes that literals meet a column. */
export function noteLiterals(
  literals: readonly Found[],
  origins: Iterable<Origin>,
  role: LineageLiteral['role'],
  trace: Trace,
): void {
  if (!trace.isOwnText || literals.length === 0) return
  for (const origin of origins) {
    for (const { at, value } of literals) {
      const place = 'parameter' in at ? `$${at.parameter}` : `${at.offset}`
      const key = `${role} ${place} ${origin.relation}.${origin.column}`
      trace.literals.set(key, { origin, role, at, value })
    }
  }
}

const [QUOTE, DOLLAR, BACKSLASH, MINUS] = [0x27, 0x24, 0x5c, 0x2d]

/** How long the literal is that starts there, in bytes. */
function tokenLength(text: Buffer, start: number): number {
  let at = start
  if (text[at] === MINUS) {
    at += 1
    while (isSpace(text[at])) at += 1
  }
  const rest = text.toString('latin1', at, Math.min(text.length, at + 128))
  const number =
    /^(?:0[xXoObB][0-9a-fA-F_]+|(?:[0-9][0-9_]*)?\.?[0-9_]*(?:[eE][+-]?[0-9_]+)?)/.exec(rest)
  if (number !== null && number[0].length > 0) return at - start + number[0].length
  const prefix = /^(?:[eEbBxXnN]|[uU]&)?'/.exec(rest)
  if (prefix !== null) {
    const isEscaped = /^[eE]/.test(rest)
    return stringEnd(text, at + prefix[0].length, isEscaped) - start
  }
  const dollar = /^\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$/.exec(rest)
  if (dollar !== null && text[at] === DOLLAR) {
    const end = text.indexOf(dollar[0], at + dollar[0].length, 'latin1')
    return (end < 0 ? text.length : end + dollar[0].length) - start
  }
  const word = /^[A-Za-z]+/.exec(rest)
  return word === null ? 0 : at - start + word[0].length
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d || byte === 0x0c
}

function stringEnd(text: Buffer, from: number, isEscaped: boolean): number {
  let at = from
  while (at < text.length) {
    if (isEscaped && text[at] === BACKSLASH) at += 2
    else if (text[at] !== QUOTE) at += 1
    else if (text[at + 1] === QUOTE) at += 2
    else return at + 1
  }
  return text.length
}
