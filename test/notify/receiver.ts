import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { NotifyChannel } from '../../src/config/index.ts'
import { type DeliveryProblem, Notifications, type NotifyClock } from '../../src/notify/index.ts'

export type Got = {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A real HTTP server that keeps what it gets; `answer` decides what each request gets, by its number from 0. */
export class Receiver {
  readonly got: Got[] = []
  answer: (response: ServerResponse, index: number) => void = response => void response.end('ok')
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      this.got.push({ path: request.url ?? '', headers: request.headers, body })
      this.answer(response, this.got.length - 1)
    })
  })

  get url(): string {
    const address: AddressInfo | string | null = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('not listening')
    return `http://127.0.0.1:${address.port}`
  }

  /** What was posted, as JSON. */
  get bodies(): Record<string, unknown>[] {
    return this.got.map(({ body }) => JSON.parse(body))
  }

  get texts(): string[] {
    return this.bodies.map(({ text }) => String(text))
  }

  listen(): Promise<void> {
    return new Promise(resolve => this.#server.listen(0, '127.0.0.1', resolve))
  }

  async close(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }
}

/** Real time, but pauses and limits pass `speed` times as fast. */
export function fastClock(speed: number): NotifyClock {
  return {
    now: Date.now,
    after: (ms, run) => {
      const timer = setTimeout(run, ms / speed)
      return () => clearTimeout(timer)
    },
  }
}

export const SECRET = 'correct horse battery staple'

/** Notifications whose secrets are `secrets`, by the name of their variable. */
export function notifications(
  channels: readonly NotifyChannel[],
  secrets: Readonly<Record<string, string>>,
  clock: NotifyClock = fastClock(100),
): { readonly notify: Notifications; readonly problems: DeliveryProblem[] } {
  const problems: DeliveryProblem[] = []
  const notify = new Notifications({
    channels,
    clock,
    fetch,
    randomBytes: count => Buffer.alloc(count, 7),
    secret: async source => {
      const found = source.from === 'env' ? secrets[source.value] : undefined
      if (found === undefined) throw new Error('environment variable is not set')
      return found
    },
    report: problem => void problems.push(problem),
  })
  return { notify, problems }
}

export const slack = (name = 'db-approvals', value = 'HOOK'): NotifyChannel => ({
  name,
  kind: 'slack',
  url: { from: 'env', value },
})

export const webhook = (url: string, name = 'db-approvals'): NotifyChannel => ({
  name,
  kind: 'webhook',
  url,
  secret: { from: 'env', value: 'KEY' },
})

/** Polls until `isSo`, or fails. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 5000
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
