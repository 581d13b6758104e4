/**
 * An issuer's signing keys, found by discovery and kept so that sign-ins go on while the issuer does not answer.
 *
 * Keys are read again in the background when they are older than `refreshMs`, at once when a token names a key we
 * do not have (at most every `cooldownMs`, so that made-up key ids don't turn us into a load on the issuer), and are
 * not used when they are older than `maxStaleMs`: by then no honest token is left, only a leaked key.
 */

import {
  createRemoteJWKSet,
  customFetch,
  type FlattenedJWSInput,
  type JWSHeaderParameters,
  type JWTVerifyGetKey,
} from 'jose'
import { TokenRefused } from './refused.ts'

/** How long what is kept. Units: milliseconds. */
export type KeyTimes = {
  readonly timeoutMs: number
  readonly cooldownMs: number
  readonly refreshMs: number
  readonly retryMs: number
  readonly maxStaleMs: number
}

export const KEY_TIMES: KeyTimes = {
  timeoutMs: 5000,
  cooldownMs: 30_000,
  refreshMs: 600_000,
  retryMs: 5000,
  maxStaleMs: 86_400_000,
}

/** Keys of one issuer. `warm` reads them now and says what went wrong, if anything. */
export type IssuerKeys = {
  readonly getKey: JWTVerifyGetKey
  warm(): Promise<string | undefined>
}

type Fetch = typeof fetch
type KeySet = ReturnType<typeof createRemoteJWKSet>

/** Makes the keys of an issuer; nothing is fetched before the first look. */
export function createIssuerKeys(
  issuer: string,
  o: { readonly now: () => number; readonly fetch: Fetch; readonly times: KeyTimes },
): IssuerKeys {
  const { now, times } = o
  const source = new KeySource(issuer, o)
  const getKey = async (header: JWSHeaderParameters | undefined, token: FlattenedJWSInput) => {
    const age = now() - source.readAt
    if (source.set === undefined || age > times.maxStaleMs) {
      await source.read().catch(error => {
        throw new TokenRefused('keys-unavailable', `no keys of ${issuer}: ${whyNot(error)}`)
      })
    } else if (age > times.refreshMs && !source.hasJustFailed()) {
      // The keys at hand still count; a failure shows in warm() and, in the end, in maxStaleMs.
      source.read().catch(() => undefined)
    }
    if (source.set === undefined) {
      throw new TokenRefused('keys-unavailable', `no keys of ${issuer}`)
    }
    return source.set(header, token)
  }
  const warm = () =>
    source.read().then(
      () => undefined,
      error => whyNot(error),
    )
  return { getKey, warm }
}

/** The network's side: where the keys are, when they were read, and when that last failed. */
class KeySource {
  readonly #issuer: string
  readonly #now: () => number
  readonly #fetch: Fetch
  readonly #times: KeyTimes
  #uri = ''
  #failedAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined
  set: KeySet | undefined
  readAt = Number.NEGATIVE_INFINITY

  constructor(
    issuer: string,
    o: { readonly now: () => number; readonly fetch: Fetch; readonly times: KeyTimes },
  ) {
    this.#issuer = issuer
    this.#now = o.now
    this.#fetch = o.fetch
    this.#times = o.times
  }

  /** For a while after a failure the issuer is left alone: each sign-in would wait for it in vain. */
  hasJustFailed(): boolean {
    return this.#now() - this.#failedAt < this.#times.retryMs
  }

  /** Reads where the keys are and then the keys; all who ask meanwhile share it. */
  read(): Promise<void> {
    this.#reading ??= this.#readNow().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #readNow(): Promise<void> {
    const uri = await discoverKeys(this.#issuer, this.#guarded, this.#times.timeoutMs)
    if (this.set === undefined || uri.href !== this.#uri) {
      const set = createRemoteJWKSet(uri, {
        [customFetch]: this.#guarded,
        cacheMaxAge: Number.POSITIVE_INFINITY,
        cooldownDuration: this.#times.cooldownMs,
        timeoutDuration: this.#times.timeoutMs,
      })
      await set.reload()
      this.set = set
      this.#uri = uri.href
    } else {
      await this.set.reload()
    }
    this.readAt = this.#now()
  }

  readonly #guarded: Fetch = async (input, init) => {
    if (this.hasJustFailed()) throw new Error('the issuer did not answer just now')
    try {
      const response = await this.#fetch(input, init)
      if (response.status !== 200) throw new Error(`HTTP ${response.status}`)
      return response
    } catch (error) {
      this.#failedAt = this.#now()
      throw error
    }
  }
}

/**
 * Where an issuer publishes its keys.
 *
 * Throws: Error with a printable reason. The issuer in the document must be the one asked for, letter by letter:
 * else whoever controls one path of a host could speak for another.
 * Source: OpenID Connect Discovery 1.0, section 4.3.
 */
async function discoverKeys(issuer: string, fetchIt: Fetch, timeoutMs: number): Promise<URL> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const response = await fetchIt(url, {
    headers: { accept: 'application/json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMs),
  })
  const metadata: unknown = await response.json().catch(() => undefined)
  if (typeof metadata !== 'object' || metadata === null) {
    throw new Error('its discovery document is not JSON')
  }
  const found = 'issuer' in metadata ? metadata.issuer : undefined
  if (found !== issuer) throw new Error('its discovery document is that of another issuer')
  const uri = URL.parse(String('jwks_uri' in metadata ? metadata.jwks_uri : ''))
  if (uri === null) throw new Error('its discovery document has no jwks_uri')
  if (uri.protocol !== 'https:' && new URL(issuer).protocol === 'https:') {
    throw new Error('its jwks_uri is not https')
  }
  return uri
}

/** A reason fit for a log: fetch hides the system's error one level down. */
function whyNot(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason'
  if (error.name === 'TimeoutError') return 'it did not answer in time'
  const cause = error.cause
  if (cause instanceof Error && 'code' in cause) return `${error.message} (${String(cause.code)})`
  return error.message
}
