/** The keychain for machines without one: a file of mode 0600 for each secret, in a directory of mode 0700. */

import { randomBytes } from 'node:crypto'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import type { Keychain } from './keychain-kind.ts'
import { readPrivate, writePrivate } from './private-files.ts'

/** Opens it; nothing is created before the first secret. */
export function openKeychainFile(dir: string): Keychain {
  const pathOf = (account: string) => join(dir, 'secrets', encodeURIComponent(account))
  return {
    kind: 'file',
    get: account => readPrivate(pathOf(account)),
    set: (account, secret) => writePrivate(pathOf(account), secret, randomBytes(6).toString('hex')),
    delete: async account => {
      const path = pathOf(account)
      try {
        await stat(path)
      } catch (error) {
        if (systemCode(error) === 'ENOENT') return false
        throw error
      }
      await rm(path)
      return true
    },
  }
}
