import { fieldsOf, type RawFrame } from '../../helpers/raw.ts'
import type { Harmless } from './corpus.ts'
import { rowsOf, withoutOids } from './evidence.ts'

/**
 * In what a query of every day behaves differently through the gate: refused, other columns, other rows, a value
 * that is masked and should not be, or the other way round.
 */
export function differences(
  one: Harmless,
  direct: readonly RawFrame[],
  gated: readonly RawFrame[],
): readonly string[] {
  const found: string[] = []
  const refusals = errorsOf(gated).filter(
    ({ R }) => R?.startsWith('dbgate:') && R !== 'dbgate:sanitised',
  )
  if (refusals.length > 0) return refusals.map(({ M }) => `refused: ${M}`)
  const codes = (frames: readonly RawFrame[]) =>
    errorsOf(frames)
      .map(({ C }) => C)
      .join()
  if (codes(direct) !== codes(gated)) found.push(`errors ${codes(direct)} became ${codes(gated)}`)
  const shape = (frames: readonly RawFrame[]) => texts(frames, 'T', withoutOids).join('\n')
  if (shape(direct) !== shape(gated)) found.push('other columns')
  const tags = (frames: readonly RawFrame[]) => texts(frames, 'C').join()
  if (tags(direct) !== tags(gated)) found.push(`tags ${tags(direct)} became ${tags(gated)}`)
  if (texts(direct, 'd').join('') !== texts(gated, 'd').join('')) found.push('other COPY data')
  return [...found, ...otherRows(one, rowsOf(direct), rowsOf(gated))]
}

type Rows = readonly (readonly (string | null)[])[]

function otherRows({ masked = [] }: Harmless, direct: Rows, gated: Rows): readonly string[] {
  if (direct.length !== gated.length) return [`${direct.length} rows became ${gated.length}`]
  const found = new Set<string>()
  direct.forEach((row, at) => {
    row.forEach((value, column) => {
      const shown = gated[at]?.[column]
      if (masked.includes(column)) {
        if (value !== null && shown === value) found.add(`column ${column} is not masked`)
      } else if (shown !== value) found.add(`column ${column} shows ${shown} for ${value}`)
    })
  })
  return [...found]
}

function errorsOf(frames: readonly RawFrame[]) {
  return frames.filter(({ tag }) => tag === 'E').map(fieldsOf)
}

function texts(
  frames: readonly RawFrame[],
  tag: string,
  read: (body: Buffer) => Buffer = body => body,
): readonly string[] {
  return frames.filter(each => each.tag === tag).map(({ body }) => read(body).toString('latin1'))
}
