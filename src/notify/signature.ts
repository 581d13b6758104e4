import { createHmac } from 'node:crypto'

/**
 * Signs what is posted, for the header `X-Dbgate-Signature: t=1767225600,v1=5257a8…`.
 *
 * Shape: `t` is the time of the attempt in Unix seconds; `v1` the HMAC-SHA-256, in hex, of `t`, a full stop and the
 * body's bytes, keyed with the channel's secret. A receiver computes it over the body as received, compares in
 * constant time, and refuses a `t` that is more than some minutes away from its own clock: what was overheard can't
 * be sent again later. Each attempt is signed anew; `id` in the body stays.
 */
export function signatureOf(secret: string, body: string, nowMs: number): string {
  const time = Math.floor(nowMs / 1000)
  const v1 = createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')
  return `t=${time},v1=${v1}`
}
