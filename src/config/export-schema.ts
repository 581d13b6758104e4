/** What may stand under `export:` in `dbgate.yaml`. */

import { z } from 'zod'
import { isLoopback } from './target-url.ts'
import { listOf, path, secret, text } from './values.ts'

const url = text('a URL like https://siem.example.com/in', /^https?:\/\/[^#@\s]+$/).refine(
  written => {
    const parsed = URL.parse(written)
    return parsed !== null && (parsed.protocol === 'https:' || isLoopback(parsed.hostname))
  },
  { error: 'expected https: whoever is on the way could read who ran what' },
)

const syslogAddress = text(
  'an address like tls://siem.example.com:6514, tcp://… or udp://…',
  /^(?:udp|tcp|tls):\/\/(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}$/,
)

const KINDS = ['webhook', 'syslog', 'otlp'] as const

/** One sink: exactly one of the kinds, and what is sent. */
export const exportSink = z
  .strictObject(
    {
      webhook: z
        .strictObject({
          url: url.describe('Where to post batches of events. http only on this machine.'),
          secret: secret.describe('What batches are signed with (HMAC-SHA-256).'),
        })
        .optional()
        .describe('JSON by POST.'),
      syslog: z
        .strictObject({
          to: syslogAddress.describe('Where the collector listens.'),
          ca: path.optional().describe('Certificate authorities for tls, in PEM.'),
        })
        .optional()
        .describe('RFC 5424 messages; over tcp and tls with octet counting.'),
      otlp: z
        .strictObject({
          url: url.describe('The collector, with /v1/logs at its end.'),
          headers: z
            .record(text('the name of a header', /^[\w-]{1,100}$/), secret)
            .default({})
            .describe('Headers for its authentication.'),
        })
        .optional()
        .describe('OpenTelemetry logs, JSON over HTTP.'),
      events: listOf(
        text('a type of record like denied, statement or request.*', /^(?:\*|[a-z.]+\*?)$/),
        'a list of types',
      )
        .default(['*'])
        .describe('Which records, * for all. Default all.'),
      parameters: z
        .boolean()
        .default(false)
        .describe('Send the values of statements too. Default false.'),
    },
    { error: 'a map with webhook, syslog or otlp' },
  )
  .refine(each => KINDS.filter(kind => each[kind] !== undefined).length === 1, {
    error: 'expected one of webhook, syslog and otlp',
  })

export type ExportFile = z.output<typeof exportSink>
