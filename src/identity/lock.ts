/**
 * One process at a time. The lock is SQLite's on an empty database file: the operating system gives it up when its
 * holder dies, however it dies, which no file with a process id in it can promise.
 */

import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { DbgateError } from '../errors.ts'

const RETRY_MS = 20
const DEFAULT_WAIT_MS = 30_000
const SQLITE_BUSY = 5

/**
 * Runs `work` while no other process, and no other caller in this one, runs under the same path.
 *
 * Throws: UNREACHABLE if the lock is not free in time; whatever `work` throws.
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  waitMs: number = DEFAULT_WAIT_MS,
): Promise<T> {
  // SQLite would make it readable for whoever the umask lets.
  closeSync(openSync(path, 'a', 0o600))
  const lock = new DatabaseSync(path, { timeout: 0 })
  try {
    await acquire(lock, path, waitMs)
    return await work()
  } finally {
    lock.close()
  }
}

async function acquire(lock: DatabaseSync, path: string, waitMs: number): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += RETRY_MS) {
    try {
      lock.exec('BEGIN EXCLUSIVE')
      return
    } catch (error) {
      if (!isBusy(error)) throw error
      if (waitedMs >= waitMs) {
        throw new DbgateError('UNREACHABLE', 'another dbgate is busy with this sign-in', {
          detail: `It has held ${path} for more than ${Math.round(waitMs / 1000)} s.`,
        })
      }
      await sleep(RETRY_MS)
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}
