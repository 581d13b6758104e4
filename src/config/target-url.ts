/** Where a database is, from its URL: libpq's spelling, minus all that belongs elsewhere. */

import { isIP } from 'node:net'

/** Shape: a host as to be dialled (no brackets), and what the query said of TLS, unchecked. */
export type TargetUrl = {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly sslmode: string | undefined
  readonly sslrootcert: string | undefined
}

const KNOWN = ['sslmode', 'sslrootcert']

/** Reads a URL, or says in one lower-case line why it can't be one. The line never holds a part of the URL. */
export function readTargetUrl(text: string): TargetUrl | string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return 'expected one host and port, like postgresql://db.example.com:5432/app'
  }
  if (url.password !== '') return 'the url holds a password: use credentials instead'
  if (url.username !== '') return 'the url holds a user: use credentials instead'
  const host = decode(url.hostname).replace(/^\[|\]$/g, '')
  if (host === '' || host.startsWith('/') || host.includes(',')) {
    return 'the url needs exactly one host name or address'
  }
  const database = decode(url.pathname.slice(1))
  if (database === '' || database.includes('\0')) return 'the url needs a database after the host'
  for (const key of url.searchParams.keys()) {
    if (!KNOWN.includes(key)) return `the url may only carry ${KNOWN.join(' and ')}, not ${key}`
    if (url.searchParams.getAll(key).length > 1) return `the url carries ${key} twice`
  }
  return {
    host,
    port: url.port === '' ? 5432 : Number(url.port),
    database,
    sslmode: url.searchParams.get('sslmode') ?? undefined,
    sslrootcert: url.searchParams.get('sslrootcert') ?? undefined,
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return ''
  }
}

/** Whether a host is this very machine. */
export function isLoopback(host: string): boolean {
  const bare = host.toLowerCase().replace(/^\[|\]$/g, '')
  if (bare === 'localhost') return true
  if (isIP(bare) === 4) return bare.startsWith('127.')
  return bare === '::1' || bare === '0:0:0:0:0:0:0:1'
}
