import { DbgateError } from '../errors.ts'

/**
 * Checks of JSON that came over the network, small enough to load in no time. Each reader returns the
 * value in the type it promises or throws; nothing is coerced.
 *
 * Throws: PROTOCOL from every function, naming the field.
 */
export type JsonObject = { readonly [name: string]: unknown }

export function object(value: unknown, where: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unexpected(where, 'an object')
  }
  return value as JsonObject
}

export function list<T>(
  value: unknown,
  where: string,
  item: (value: unknown, where: string) => T,
): readonly T[] {
  if (!Array.isArray(value)) throw unexpected(where, 'a list')
  return value.map((one, index) => item(one, `${where}[${index}]`))
}

export function text(value: unknown, where: string): string {
  if (typeof value !== 'string') throw unexpected(where, 'a text')
  return value
}

export function number(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw unexpected(where, 'a number')
  return value
}

export function boolean(value: unknown, where: string): boolean {
  if (typeof value !== 'boolean') throw unexpected(where, 'true or false')
  return value
}

export function texts(value: unknown, where: string): readonly string[] {
  return list(value, where, text)
}

/** The value, or undefined where it is absent or null. */
export function maybe<T>(
  value: unknown,
  where: string,
  read: (value: unknown, where: string) => T,
): T | undefined {
  return value === undefined || value === null ? undefined : read(value, where)
}

/** An instant: epoch milliseconds, or text as in RFC 3339. Units: epoch ms. */
export function instant(value: unknown, where: string): number {
  const ms = typeof value === 'string' ? Date.parse(value) : value
  if (typeof ms !== 'number' || !Number.isFinite(ms)) throw unexpected(where, 'a time')
  return ms
}

function unexpected(where: string, expected: string): DbgateError {
  return new DbgateError(
    'PROTOCOL',
    `unexpected answer of the server: ${where} is not ${expected}`,
    {
      detail: 'The server may be of another version than this dbgate.',
    },
  )
}
