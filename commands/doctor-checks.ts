import { asDbgateError, type DbgateError } from '../src/errors.ts'

/** One line of `dbgate doctor`: what was looked at, how it is, and what to type where it is not well. */
export type Check = {
  readonly name: string
  readonly state: 'ok' | 'warn' | 'fail'
  readonly says: string
  readonly next?: string | undefined
  /** The exit code that a failure is worth. */
  readonly exit?: number | undefined
}

export const ok = (name: string, says: string): Check => ({ name, state: 'ok', says })
export const warn = (name: string, says: string, next: string): Check => ({
  ...{ name, state: 'warn', says, next },
})
export const fail = (name: string, says: string, next: string, exit = 1): Check => ({
  ...{ name, state: 'fail', says, next, exit },
})

/** A check that turned out to be an error of ours. */
export function failed(name: string, thrown: unknown, next: string): Check {
  const error: DbgateError = asDbgateError(thrown)
  const cause = error.code === 'INTERNAL' && error.cause instanceof Error ? error.cause.message : ''
  const says = [error.message, cause].filter(part => part !== '').join(': ')
  return fail(name, says, error.next[0] ?? next, error.exitCode)
}
