import type { ExportSink } from '../config/index.ts'
import { systemCode } from '../errors.ts'
import { type ExportedEvent, eventJson, type Severity, severityOf } from './exported-event.ts'
import type { PostOptions } from './post.ts'
import { signatureOf } from './signature.ts'

/** Sends batches; `send` throws an error whose message says why, without an address or a secret in it. */
export type Sender = {
  send(events: readonly ExportedEvent[], signal: AbortSignal): Promise<void>
  close(): void
  /** True where a batch may be lost although it was sent: nothing answers. */
  readonly isUnanswered: boolean
}

export type SenderOptions = PostOptions & { readonly host: string; readonly version: string }

/** Posts batches as `{"v":1,"sink":…,"events":[…]}`, signed like every webhook of dbgate. */
export function webhookSender(
  sink: ExportSink & { kind: 'webhook' },
  options: SenderOptions,
): Sender {
  return {
    isUnanswered: false,
    close: () => undefined,
    send: async (events, signal) => {
      const secret = await options.secret(sink.secret)
      const body = `{"v":1,"sink":${JSON.stringify(sink.name)},"events":[${events.map(eventJson).join(',')}]}`
      const signature = signatureOf(secret, body, options.now())
      await postJson(sink.url, body, { 'x-dbgate-signature': signature }, signal, options)
    },
  }
}

/** Posts batches as OpenTelemetry logs. Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp */
export function otlpSender(sink: ExportSink & { kind: 'otlp' }, options: SenderOptions): Sender {
  return {
    isUnanswered: false,
    close: () => undefined,
    send: async (events, signal) => {
      const headers: Record<string, string> = {}
      for (const [name, source] of Object.entries(sink.headers)) {
        headers[name] = await options.secret(source)
      }
      await postJson(sink.url, JSON.stringify(otlpBody(events, options)), headers, signal, options)
    },
  }
}

async function postJson(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  options: SenderOptions,
): Promise<void> {
  let status: number
  try {
    const response = await options.fetch(url, {
      method: 'POST',
      redirect: 'manual',
      signal,
      headers: { 'content-type': 'application/json', 'user-agent': 'dbgate', ...headers },
      body,
    })
    await response.body?.cancel()
    status = response.status
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error
    throw new Error(
      signal.aborted ? 'no answer in time' : (systemCode(cause) ?? 'the connection failed'),
    )
  }
  if (status < 200 || status >= 300) throw new Error(`HTTP ${status}`)
}

/** Source: https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber */
const SEVERITIES: Readonly<Record<Severity, { number: number; text: string }>> = {
  info: { number: 9, text: 'INFO' },
  warning: { number: 13, text: 'WARN' },
  error: { number: 17, text: 'ERROR' },
}

const ATTRIBUTES = [
  'id',
  'session',
  'user',
  'agent',
  'target',
  'role',
  'verdict',
  'rule',
  'outcome',
]

function otlpBody(events: readonly ExportedEvent[], options: SenderOptions): unknown {
  const { version, host, now } = options
  const resource = [attribute('service.name', 'dbgate'), attribute('host.name', host)]
  const logRecords = events.map(event => {
    const { record, sha256 } = event
    const severity = SEVERITIES[severityOf(event)]
    const named = ATTRIBUTES.flatMap(name => {
      const value: unknown = Reflect.get(record, name)
      return typeof value === 'string' ? [attribute(`dbgate.${name}`, value)] : []
    })
    return {
      timeUnixNano: nanos(Date.parse(record.t)),
      observedTimeUnixNano: nanos(now()),
      severityNumber: severity.number,
      severityText: severity.text,
      eventName: `dbgate.${record.type}`,
      body: { stringValue: eventJson(event) },
      attributes: [
        attribute('event.name', `dbgate.${record.type}`),
        { key: 'dbgate.n', value: { intValue: String(record.n) } },
        attribute('dbgate.sha256', sha256),
        ...named,
      ],
    }
  })
  const scope = { name: 'dbgate.audit', version }
  return {
    resourceLogs: [{ resource: { attributes: resource }, scopeLogs: [{ scope, logRecords }] }],
  }
}

function attribute(key: string, stringValue: string): unknown {
  return { key, value: { stringValue } }
}

/** 64-bit integers are text in OTLP's JSON. */
function nanos(ms: number): string {
  return `${Number.isNaN(ms) ? 0 : ms}000000`
}
