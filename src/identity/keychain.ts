/**
 * Where secrets of the CLI are kept: the system's keychain if there is one that works, else a file only its owner
 * can read. One small face for three backends.
 */

import { DbgateError, systemCode } from '../errors.ts'
import { openKeychainFile } from './keychain-file.ts'
import type { Keychain, KeychainKind } from './keychain-kind.ts'

/** `warning` is for the person, when what is left is the file; `reasons` say why others were passed over. */
export type ChosenKeychain = {
  readonly keychain: Keychain
  readonly warning: string | undefined
  readonly reasons: readonly string[]
}

const SERVICE = 'dbgate'
/** Without a screen a locked keychain waits for a password dialog that nobody will ever see. */
const PROBE_TIMEOUT_MS = 10_000

/**
 * Picks the first keychain that keeps a secret and gives it back: keytar, then @napi-rs/keyring, then files under
 * `dir`. Only trying tells: a library may load and have no service behind it, or read and not write.
 */
export async function chooseKeychain(o: {
  readonly dir: string
  readonly only?: KeychainKind | undefined
  readonly random: (bytes: number) => Buffer
}): Promise<ChosenKeychain> {
  const kinds = o.only === undefined ? (['keytar', 'keyring', 'file'] as const) : [o.only]
  const reasons: string[] = []
  for (const kind of kinds) {
    try {
      const keychain = await openKeychain(kind, o.dir)
      await within(PROBE_TIMEOUT_MS, probe(keychain, o.random))
      return { keychain, warning: kind === 'file' ? unencrypted(o.dir) : undefined, reasons }
    } catch (error) {
      reasons.push(`${kind}: ${reasonOf(error)}`)
    }
  }
  throw new DbgateError('INTERNAL', 'there is no place to keep the sign-in', {
    detail: reasons.join('; '),
  })
}

function unencrypted(dir: string): string {
  return `No system keyring. The sign-in is stored unencrypted in ${dir}/secrets (0600).`
}

function reasonOf(error: unknown): string {
  if (error instanceof DbgateError) return error.detail ?? error.message
  return error instanceof Error ? error.message : 'unknown reason'
}

/** Opens the keychain that a profile was stored in. Throws: INTERNAL if its library is not installed. */
export async function openKeychain(kind: KeychainKind, dir: string): Promise<Keychain> {
  if (kind === 'file') return openKeychainFile(dir)
  try {
    return kind === 'keytar' ? await openKeytar() : await openKeyring()
  } catch (error) {
    if (systemCode(error) === 'ERR_MODULE_NOT_FOUND') throw unusable(kind, 'not installed')
    throw unusable(kind, error)
  }
}

async function openKeytar(): Promise<Keychain> {
  const { default: keytar } = await import('keytar')
  const kind = 'keytar'
  return {
    kind,
    get: async account =>
      (await guard(kind, () => keytar.getPassword(SERVICE, account))) ?? undefined,
    set: (account, secret) => guard(kind, () => keytar.setPassword(SERVICE, account, secret)),
    delete: account => guard(kind, () => keytar.deletePassword(SERVICE, account)),
  }
}

async function openKeyring(): Promise<Keychain> {
  const { AsyncEntry } = await import('@napi-rs/keyring')
  const kind = 'keyring'
  // Left to itself it falls back to the kernel's keyring, which forgets at the next restart.
  const entry = (account: string) =>
    new AsyncEntry(SERVICE, account, { linux: { store: 'secret-service' } })
  return {
    kind,
    get: async account => (await guard(kind, () => entry(account).getPassword())) ?? undefined,
    set: (account, secret) => guard(kind, () => entry(account).setPassword(secret)),
    delete: account => guard(kind, () => entry(account).deletePassword()),
  }
}

/** Either library may throw at once or later. */
async function guard<T>(kind: KeychainKind, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw unusable(kind, error)
  }
}

function unusable(kind: KeychainKind, why: unknown): DbgateError {
  const reason = why instanceof Error ? why.message : String(why)
  return new DbgateError('INTERNAL', `the system keyring cannot be used (${kind})`, {
    detail: reason.slice(0, 300),
    hint: 'Over ssh or in a container there often is none. Sign in again to use a file instead.',
    next: ['dbgate login'],
  })
}

async function probe(keychain: Keychain, random: (bytes: number) => Buffer): Promise<void> {
  const account = `probe-${random(8).toString('hex')}`
  await keychain.set(account, account)
  const found = await keychain.get(account)
  await keychain.delete(account)
  if (found !== account) throw new Error('what was stored did not come back')
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('it did not answer in time')), timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
