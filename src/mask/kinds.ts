import { TypeOid } from './types.ts'

/**
 * What a client sees instead of a value. Every kind keeps the column's type: where it has no value of
 * that type, the value becomes NULL (see `fits`).
 *
 * - redact: `••••`
 * - nullify: NULL
 * - token: the same value gives the same token within a domain, so that joins and counts still work
 * - email: `a•••@acme.dev`; what is no e-mail address is redacted
 * - keep: the first and last characters; a value that would hide fewer than four is redacted whole
 * - year: a date's year, as its first of January
 */
export type Mask =
  | { readonly kind: 'redact' }
  | { readonly kind: 'nullify' }
  | { readonly kind: 'token'; readonly domain: string }
  | { readonly kind: 'email' }
  | { readonly kind: 'keep'; readonly first: number; readonly last: number }
  | { readonly kind: 'year' }

/** A column's type as RowDescription states it. Domains are reported as their base type there. */
export type CellType = {
  readonly typeOid: number
  /** `n + 4` of `varchar(n)` and `char(n)`, -1 where there is none. */
  readonly typeModifier: number
}

/** A column's type and the format it arrives in: 0 text, 1 binary. */
export type CellField = CellType & { readonly format: number }

const TEXT_LIKE: ReadonlySet<number> = new Set([
  TypeOid.text,
  TypeOid.varchar,
  TypeOid.bpchar,
  TypeOid.name,
])
const TOKENISED: ReadonlySet<number> = new Set([...TEXT_LIKE, TypeOid.uuid, TypeOid.int8])
const DATED: ReadonlySet<number> = new Set([TypeOid.date, TypeOid.timestamp, TypeOid.timestamptz])

/** True for the types whose values are plain text in both formats: text, varchar, char(n), name. */
export function isTextLike(typeOid: number): boolean {
  return TEXT_LIKE.has(typeOid)
}

const ALWAYS_TOKENISED: ReadonlySet<number> = new Set([TypeOid.text, TypeOid.uuid, TypeOid.int8])

/** True for types of which every value but NULL has a token; one may be too long for a varchar(n). */
export function alwaysHasToken(typeOid: number): boolean {
  return ALWAYS_TOKENISED.has(typeOid)
}

/**
 * True where the mask has a value of this type to show; false where it shows NULL instead. For a domain
 * ask with its base type; enums, composites, arrays and types of extensions fit no kind but `nullify`.
 */
export function fits(mask: Mask, typeOid: number): boolean {
  switch (mask.kind) {
    case 'nullify':
      return true
    case 'redact':
    case 'email':
    case 'keep':
      return TEXT_LIKE.has(typeOid)
    case 'token':
      return TOKENISED.has(typeOid)
    case 'year':
      return DATED.has(typeOid)
  }
}
