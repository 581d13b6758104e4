import { createHash, type Hash } from 'node:crypto'
import type { Principal } from '../identity/index.ts'
import { canonicalText } from '../sql/index.ts'

/** A bound value, exactly as in Bind. */
export type BoundParameter = { readonly bytes: Uint8Array | null; readonly binary: boolean }

/**
 * Exactly what would run, by whom and where: all of it is covered by an approval, and nothing else is.
 *
 * Shape: `text` as on the wire. `scope` has whatever else changes what the text means, under names that stay the
 * same: settings such as search_path, client_encoding and TimeZone, and the texts that names of prepared
 * statements and cursors stand for. `parameterTypes` are the OIDs that Parse declared.
 */
export type Bound = {
  readonly principal: Pick<Principal, 'issuer' | 'subject'>
  readonly target: string
  readonly role: string
  readonly database: string
  readonly text: Uint8Array
  readonly parameters: readonly BoundParameter[]
  readonly parameterTypes: readonly number[]
  readonly scope: Readonly<Record<string, string>>
}

/** Changes whenever the encoding below does, so that no approval is carried over from another one. */
const VERSION = 'dbgate binding 1'

/**
 * The digest of all that an approval covers. Two that are equal are the same statement of the same person.
 *
 * Shape: 64 hex digits, SHA-256 over each field's length and bytes, so that no two lists of fields are the same bytes.
 */
export function bindingOf(bound: Bound): string {
  const hash = createHash('sha256')
  const { issuer, subject } = bound.principal
  for (const field of [VERSION, issuer, subject, bound.target, bound.role, bound.database]) {
    addText(hash, field)
  }
  addBytes(hash, canonicalText(bound.text))
  addNumber(hash, bound.parameterTypes.length)
  for (const oid of bound.parameterTypes) addNumber(hash, oid)
  addNumber(hash, bound.parameters.length)
  for (const parameter of bound.parameters) addParameter(hash, parameter)
  const names = Object.keys(bound.scope).sort()
  addNumber(hash, names.length)
  for (const name of names) {
    addText(hash, name)
    addText(hash, bound.scope[name] ?? '')
  }
  return hash.digest('hex')
}

/** The digest of one value, in whatever format it came. */
export function parameterDigest(parameter: BoundParameter): string {
  const hash = createHash('sha256')
  addParameter(hash, parameter)
  return hash.digest('hex')
}

/** Shape: a byte for the format and NULL, then the value; '' and NULL differ. */
function addParameter(hash: Hash, { bytes, binary }: BoundParameter): void {
  hash.update(Buffer.of(binary ? 1 : 0, bytes === null ? 1 : 0))
  addBytes(hash, bytes ?? Buffer.alloc(0))
}

/** In UTF-16, because UTF-8 has the same bytes for any two lone surrogates. */
function addText(hash: Hash, text: string): void {
  addBytes(hash, Buffer.from(text, 'utf16le'))
}

function addBytes(hash: Hash, bytes: Uint8Array): void {
  addNumber(hash, bytes.length)
  hash.update(bytes)
}

function addNumber(hash: Hash, value: number): void {
  const field = Buffer.alloc(8)
  field.writeBigUInt64BE(BigInt(value))
  hash.update(field)
}
