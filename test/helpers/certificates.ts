import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { succeed } from './run.ts'

/** PEM texts of a throw-away authority and a server certificate for 127.0.0.1 and localhost signed by it. */
export type Certificates = { readonly ca: string; readonly cert: string; readonly key: string }

export async function makeCertificates(): Promise<Certificates> {
  const directory = await mkdtemp(join(tmpdir(), 'dbgate-ca-'))
  const openssl = (...args: string[]) => succeed('openssl', args, { cwd: directory })
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  try {
    await openssl(
      ...['req', '-x509', ...curve, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2'],
      ...['-subj', '/CN=test authority'],
    )
    await openssl(
      ...['req', ...curve, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost'],
    )
    await writeFile(join(directory, 'san'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
    await openssl(
      ...['x509', '-req', '-in', 'server.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-days', '2'],
      ...['-CAcreateserial', '-extfile', 'san', '-out', 'server.crt'],
    )
    const text = (name: string) => readFile(join(directory, name), 'utf8')
    return {
      ca: await text('ca.crt'),
      cert: await text('server.crt'),
      key: await text('server.key'),
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
