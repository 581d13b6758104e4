import { DbgateError } from '../errors.ts'

const MAX_COMMENT = 500

/**
 * What somebody has said, in one line, because it stands in messages of one line; undefined for nothing.
 *
 * Throws: USAGE (22023) it is too long.
 */
export function oneLine(comment: string | undefined): string | undefined {
  const line = comment?.replaceAll(/[\s\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  if (line === undefined || line === '') return undefined
  if (line.length <= MAX_COMMENT) return line
  throw new DbgateError('USAGE', `a comment or reason has ${MAX_COMMENT} characters at most`)
}
