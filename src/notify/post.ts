import type { NotifyChannel, SecretSource } from '../config/index.ts'
import { systemCode } from '../errors.ts'
import { type Delivery, slackBody, webhookBody } from './message.ts'
import { signatureOf } from './signature.ts'

/** What posting takes from outside. */
export type PostOptions = {
  readonly fetch: typeof fetch
  readonly now: () => number
  /** Reads a secret; must not put it into what it throws. */
  readonly secret: (source: SecretSource) => Promise<string>
}

/** How an attempt ended; `why` never has an address in it. */
export type Posted =
  | { readonly outcome: 'delivered' }
  | { readonly outcome: 'failed'; readonly why: string; readonly mayRetry: boolean }

/** Posts a message once. What the receiver and the network do is an outcome, never an error. */
export async function post(
  channel: NotifyChannel,
  delivery: Delivery,
  signal: AbortSignal,
  options: PostOptions,
): Promise<Posted> {
  let secret: string
  try {
    secret = await options.secret(channel.kind === 'slack' ? channel.url : channel.secret)
  } catch (error) {
    return failed(error instanceof Error ? error.message : 'its secret cannot be read', true)
  }
  const url = channel.kind === 'slack' ? secret : channel.url
  if (!isPostable(url)) return failed('its secret is no https URL', false)
  const body = channel.kind === 'slack' ? slackBody(delivery) : webhookBody(delivery)
  const signature =
    channel.kind === 'slack'
      ? {}
      : { 'x-dbgate-signature': signatureOf(secret, body, options.now()) }
  try {
    // Not followed: what is signed for one place, or secret, is not carried to another.
    const response = await options.fetch(url, {
      method: 'POST',
      redirect: 'manual',
      signal,
      headers: { 'content-type': 'application/json', 'user-agent': 'dbgate', ...signature },
      body,
    })
    await response.body?.cancel()
    return judge(response.status)
  } catch (error) {
    return failed(signal.aborted ? 'no answer in time' : unreachable(error), true)
  }
}

function judge(status: number): Posted {
  if (status >= 200 && status < 300) return { outcome: 'delivered' }
  const mayRetry = status >= 500 || status === 408 || status === 425 || status === 429
  const isElsewhere = status >= 300 && status < 400
  return failed(`HTTP ${status}${isElsewhere ? ', and redirects are not followed' : ''}`, mayRetry)
}

function failed(why: string, mayRetry: boolean): Posted {
  return { outcome: 'failed', why, mayRetry }
}

/** Only the code: the messages of some errors quote the address. */
function unreachable(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  return systemCode(cause) ?? 'the connection failed'
}

/** https, or http on this machine; the one in a file was checked when it was read, a secret one was not. */
function isPostable(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '') return false
  if (url.protocol === 'https:') return true
  return url.protocol === 'http:' && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
}
