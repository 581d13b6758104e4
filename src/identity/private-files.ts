/** Files only their owner can read, replaced as a whole or not at all. */

import { constants } from 'node:fs'
import { chmod, type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DbgateError, systemCode } from '../errors.ts'

/** Makes a directory that only its owner can enter, and closes it if it is open to others. */
export async function makePrivateDir(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await chmod(dir, 0o700)
}

/** Writes a file of mode 0600 so that a reader sees the old content or the new, and a crash leaves one of them. */
export async function writePrivate(path: string, text: string, unique: string): Promise<void> {
  await makePrivateDir(dirname(path))
  const temporary = `${path}.${unique}.tmp`
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/**
 * Reads a file, or undefined if there is none.
 *
 * Throws: INVALID if others can read it or it is somebody else's: it may have been read, or put there.
 */
export async function readPrivate(path: string): Promise<string | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const { mode, uid } = await file.stat()
    const me = process.geteuid?.()
    if (me !== undefined && (uid !== me || (mode & 0o077) !== 0)) {
      throw new DbgateError('INVALID', `${path} is not only yours`, {
        detail: 'Others can read it, or it belongs to another user.',
        hint: `Run chmod 600 ${path} if you know why, and sign in again.`,
      })
    }
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
