import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { DbgateError, systemCode } from '../errors.ts'

const FILE = 'masks.key'
const KEY_BYTES = 32

/**
 * The key that masked values are made with, from the state directory: made at the first start, so that the same
 * value has the same token after a restart. Whoever has it can try out which value a token stands for.
 *
 * Shape: 32 bytes, nothing else, in a file that only its owner can read.
 * Throws: INVALID where others can read it, or it is no such key.
 */
export async function ownMaskKey(
  stateDir: string,
  randomBytes: (count: number) => Buffer,
): Promise<Buffer> {
  const path = join(stateDir, FILE)
  try {
    const made = randomBytes(KEY_BYTES)
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(made)
      await file.sync()
    } finally {
      await file.close()
    }
    return made
  } catch (cause) {
    if (systemCode(cause) !== 'EEXIST') throw cause
  }
  const file = await open(path, 'r')
  try {
    return await readKey(file, path)
  } finally {
    await file.close()
  }
}

async function readKey(file: FileHandle, path: string): Promise<Buffer> {
  const { mode, size } = await file.stat()
  if ((mode & 0o077) !== 0) {
    throw new DbgateError('INVALID', `${path} can be read by others`, {
      hint: `Run chmod 600 ${path} if you know why. Whoever has read it can find out what tokens stand for.`,
    })
  }
  if (size !== KEY_BYTES) {
    throw new DbgateError('INVALID', `${path} is no key of ${KEY_BYTES} bytes`, {
      hint: 'Put back the file from a backup: another key gives other tokens. Without tokens in use it may be removed.',
    })
  }
  return file.readFile()
}
