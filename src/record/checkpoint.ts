import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DbgateError, systemCode } from '../errors.ts'
import { parseJson } from './format.ts'

/**
 * Checkpoints: signed notes of how far the audit log had come, kept elsewhere. The chain cannot show that its
 * end was cut off, or that all of it was written anew; a checkpoint that was out of reach can.
 *
 * # The file, version 1
 *
 * Text, one checkpoint a line, of one log only:
 *
 *     {"v":1,"sequence":7,"n":1042,"sha256":"<64 hex>","t":"2026-…","key":"<16 hex>","signature":"<base64>"}
 *
 * `sequence` counts from 1 without a hole; `n` is the number of the last record, and so how many there were;
 * `sha256` is the hash of the log's last line; `key` the first digits of SHA-256 of the public key (DER). The
 * signature is Ed25519 over the line without `,"signature":"…"`. A line that is no checkpoint is passed
 * over: a process killed while writing leaves one behind.
 */
export type Checkpoint = {
  readonly sequence: number
  readonly n: number
  readonly sha256: string
  readonly t: string
  readonly key: string
  /** Undefined where it was not checked for lack of a key. */
  readonly isSigned: boolean | undefined
}

/** The key that checkpoints are signed with. `publicPem` is what `--key` takes. */
export type CheckpointKey = {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly publicPem: string
  readonly fingerprint: string
}

const VERSION = 1
const KEY_FILE = 'checkpoint.key'
const PUBLIC_FILE = 'checkpoint.pub'
/** PKCS #8 of an Ed25519 key, before its 32 bytes (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')
const LINE = /^(\{.*),"signature":"([A-Za-z0-9+/=]{1,200})"\}$/

/**
 * The key in a state directory, made at the first call. The public one lies beside it.
 *
 * Throws: INVALID the file holds no Ed25519 key; file system errors as they come.
 */
export function loadCheckpointKey(
  stateDir: string,
  randomBytes: (count: number) => Buffer,
): CheckpointKey {
  const path = join(stateDir, KEY_FILE)
  const privateKey = readOrMake(path, randomBytes)
  if (privateKey.asymmetricKeyType !== 'ed25519') {
    throw new DbgateError('INVALID', `${path} is no Ed25519 key`)
  }
  const publicKey = createPublicKey(privateKey)
  const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  writeFileSync(join(stateDir, PUBLIC_FILE), publicPem, { mode: 0o644 })
  return { privateKey, publicKey, publicPem, fingerprint: fingerprintOf(publicKey) }
}

function readOrMake(path: string, randomBytes: (count: number) => Buffer): KeyObject {
  try {
    return createPrivateKey(readFileSync(path))
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') {
      throw new DbgateError('INVALID', `${path} cannot be read as a key`, { cause: error })
    }
  }
  const der = Buffer.concat([PKCS8_HEAD, randomBytes(32)])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const pem = key.export({ type: 'pkcs8', format: 'pem' })
  writeFileSync(path, pem, { mode: 0o600, flag: 'wx', flush: true })
  return key
}

/**
 * A public key from its PEM file.
 *
 * Throws: INVALID it is no Ed25519 key; NOT_FOUND it cannot be read.
 */
export async function readPublicKey(path: string): Promise<KeyObject> {
  let pem: Buffer
  try {
    pem = await readFile(path)
  } catch (cause) {
    const why = systemCode(cause) ?? 'unknown reason'
    throw new DbgateError('NOT_FOUND', `cannot read ${path} (${why})`, { cause })
  }
  try {
    const key = createPublicKey(pem)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch (cause) {
    throw new DbgateError('INVALID', `${path} is no public key in PEM`, { cause })
  }
  throw new DbgateError('INVALID', `${path} is no Ed25519 key`)
}

/** The first digits of a public key's SHA-256. */
export function fingerprintOf(publicKey: KeyObject): string {
  return hash('sha256', publicKey.export({ type: 'spki', format: 'der' }), 'hex').slice(0, 16)
}

/** A checkpoint's line, signed. */
export function encodeCheckpoint(
  checkpoint: Omit<Checkpoint, 'key' | 'isSigned'>,
  key: CheckpointKey,
): string {
  const { sequence, n, sha256, t } = checkpoint
  const body = JSON.stringify({ v: VERSION, sequence, n, sha256, t, key: key.fingerprint })
  const signature = sign(null, Buffer.from(body), key.privateKey).toString('base64')
  return `${body.slice(0, -1)},"signature":"${signature}"}\n`
}

/**
 * The checkpoints in a file's text, in order. What is no checkpoint is left out.
 *
 * Throws: INTEGRITY (XX001) for one of a version that is not known.
 */
export function decodeCheckpoints(text: string, key: KeyObject | undefined): Checkpoint[] {
  const found: Checkpoint[] = []
  for (const line of text.split('\n')) {
    const [, head = '', signature = ''] = LINE.exec(line) ?? []
    const body = `${head}}`
    const value = parseJson(body)
    if (!isCheckpoint(value)) continue
    if (value.v !== VERSION) {
      throw new DbgateError('INTEGRITY', `checkpoint has format version ${value.v}`, {
        detail: `This version of dbgate reads version ${VERSION}.`,
      })
    }
    const { sequence, n, sha256, t } = value
    const isSigned = key && verify(null, Buffer.from(body), key, Buffer.from(signature, 'base64'))
    found.push({ sequence, n, sha256, t, key: value.key, isSigned })
  }
  return found
}

/** Reads a file of checkpoints. Throws: NOT_FOUND it cannot be read; as `decodeCheckpoints`. */
export async function readCheckpoints(
  path: string,
  key: KeyObject | undefined,
): Promise<Checkpoint[]> {
  try {
    return decodeCheckpoints(await readFile(path, 'utf8'), key)
  } catch (cause) {
    const why = systemCode(cause)
    if (why === undefined) throw cause
    throw new DbgateError('NOT_FOUND', `cannot read ${path} (${why})`, { cause })
  }
}

type CheckpointLine = Omit<Checkpoint, 'isSigned'> & { readonly v: number }

function isCheckpoint(value: unknown): value is CheckpointLine {
  if (typeof value !== 'object' || value === null) return false
  if (!('v' in value && 'sequence' in value && 'n' in value && 'sha256' in value)) return false
  if (!('t' in value && 'key' in value)) return false
  const { v, sequence, n, sha256, t, key } = value
  const isNumbered = [v, sequence, n].every(each => Number.isSafeInteger(each))
  return isNumbered && [sha256, t, key].every(each => typeof each === 'string')
}
