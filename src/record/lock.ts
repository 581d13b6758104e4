import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { DbgateError } from '../errors.ts'

/** Holds a directory for this process until `release`, or until the process is gone. */
export type DirectoryLock = { release(): void }

/**
 * Takes the directory for one writer: two of them would continue the chain from the same record.
 *
 * The lock is the operating system's own file lock, taken through the built-in SQLite (an exclusive
 * transaction on an empty database that never writes), because Node offers no flock. The kernel drops it
 * when the process dies, however it dies, so there is no stale lock to reason about: a lock file with a pid
 * leaves a race between seeing that it is stale and replacing it, and a pid means nothing across containers
 * that share a volume; a listening abstract socket stops at the network namespace and exists on Linux only.
 * On a network file system without locks this gives no protection: the log belongs on a local disk.
 *
 * Nothing else may open this file in this process: closing any descriptor of it would drop the lock.
 *
 * Throws: IN_USE another process (or another log of this one) holds the directory.
 */
export function lockDirectory(dir: string): DirectoryLock {
  const path = join(dir, 'writer.lock')
  const db = new DatabaseSync(path, { timeout: 0 })
  try {
    chmodSync(path, 0o600)
    db.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    db.close()
    if (!isBusy(cause)) throw cause
    throw new DbgateError('IN_USE', 'audit log is in use by another process', {
      detail: `Another dbgate serve is writing to ${dir}; two writers would break the chain.`,
      cause,
    })
  }
  return { release: () => db.close() }
}

const SQLITE_BUSY = 5

function isBusy(thrown: unknown): boolean {
  return thrown instanceof Error && 'errcode' in thrown && thrown.errcode === SQLITE_BUSY
}
