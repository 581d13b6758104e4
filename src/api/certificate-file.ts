import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DbgateError, systemCode } from '../errors.ts'
import { createCertificate, type OwnCertificate } from './certificate.ts'

export type TlsMaterial = OwnCertificate & { readonly isSelfSigned: boolean }

/** Reads a configured certificate and key. Throws: INVALID naming the file. */
export async function readCertificate(files: {
  readonly cert: string
  readonly key: string
}): Promise<TlsMaterial> {
  const [cert, key] = await Promise.all([readPem(files.cert), readPem(files.key)])
  return { cert, key, isSelfSigned: false }
}

/**
 * The server's own certificate from its state directory, made at the first start: it outlives restarts,
 * so that what clients have pinned goes on to hold.
 */
export async function ownCertificate(
  stateDir: string,
  host: string,
  now: number,
  randomBytes: (count: number) => Buffer,
): Promise<TlsMaterial> {
  const [certFile, keyFile] = [join(stateDir, 'tls.crt'), join(stateDir, 'tls.key')]
  try {
    const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')])
    return { cert, key, isSelfSigned: true }
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT') throw cause
  }
  const made = createCertificate([...new Set([host, 'localhost', '127.0.0.1'])], now, randomBytes)
  await writeFile(keyFile, made.key, { mode: 0o600 })
  await chmod(keyFile, 0o600)
  await writeFile(certFile, made.cert)
  return { ...made, isSelfSigned: true }
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const why = systemCode(cause) ?? 'unknown reason'
    throw new DbgateError('INVALID', `cannot read ${path} (${why})`, { cause })
  }
}
