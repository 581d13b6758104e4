/** What may stand in `dbgate.yaml`: the one source of its validation and of schema/server.json. */

import { z } from 'zod'
import { exportSink } from './export-schema.ts'
import { recording } from './recording-schema.ts'
import { isLoopback } from './target-url.ts'
import {
  address,
  credential,
  duration,
  integer,
  listOf,
  member,
  name,
  namedMap,
  path,
  secret,
  size,
  text,
  title,
} from './values.ts'

const SECOND = 1000
const HOUR = 3_600_000
const MiB = 1024 ** 2

/** Signature algorithms a token may carry: asymmetric ones only, so that no public key doubles as a secret. */
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

/** libpq's names for how much TLS to ask of a database. */
export const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const

const limits = z.strictObject({
  startup: duration(SECOND, 300 * SECOND)
    .default(10 * SECOND)
    .describe('How long a client may take from connecting to being signed in. Default 10s.'),
  message: size(64 * 1024, 1024 * MiB)
    .default(64 * MiB)
    .describe('The largest message a client may send. Default 64MiB.'),
  sessions_per_principal: integer(1, 10_000)
    .default(50)
    .describe('Sessions one person may have open at once. Default 50.'),
})

const server = z.strictObject({
  url: text('an https URL like https://bastion.example.com', /^https:\/\/[^/?#@\s]+\/?$/).describe(
    'What people type after `dbgate login`.',
  ),
  listen: address.describe('Address of the API and the tunnels.'),
  tls: z
    .strictObject({ cert: path, key: path })
    .optional()
    .describe('Certificate chain and key in PEM. Without it one is made at the first start.'),
  state: path.describe('Directory for the audit log and all that must outlive a restart.'),
  policy: z
    .union([path.transform(one => [one]), listOf(path, 'a list of paths')], {
      error: 'a path or a list of paths',
    })
    .describe('Policy files; * matches within a directory.'),
  postgres_listen: address
    .optional()
    .describe('Address where PostgreSQL clients connect directly, with a token as the password.'),
  drain: duration(0, HOUR)
    .default(30 * SECOND)
    .describe('How long open sessions may go on after SIGTERM. Default 30s.'),
  limits: limits.prefault({}).describe('Bounds that keep one client from harming the others.'),
})

const issuerUrl = text('the issuer as a URL', /^https?:\/\/[^?#@\s]+$/).describe(
  'Exactly as in the tokens; keys are found through its .well-known/openid-configuration.',
)
const audience = z
  .union([member.transform(one => [one]), listOf(member, 'a list of audiences')], {
    error: 'an audience or a list of them',
  })
  .describe('A token must be made for one of these.')
const algorithms = listOf(
  z.enum(ALGORITHMS, { error: `one of ${ALGORITHMS.join(', ')}` }),
  'a list of algorithms',
)
  .default(['RS256', 'ES256', 'EdDSA', 'PS256'])
  .describe('Signature algorithms to accept.')
const tolerance = duration(0, 300 * SECOND)
  .default(30 * SECOND)
  .describe('How far apart the clocks may be. Default 30s.')
const claim = text('the name of a claim', /^[^\p{Cc}\s]{1,200}$/u)

const people = z.strictObject({
  kind: z.literal('people').default('people'),
  issuer: issuerUrl,
  client_id: member.describe('The client registered for dbgate.'),
  client_secret: secret
    .optional()
    .describe('Only where the provider insists on one. It is handed to every CLI: not a secret.'),
  audience: audience.optional(),
  algorithms,
  claims: z
    .strictObject({
      user: claim.default('email').describe('Who it is, as policies spell it. Default email.'),
      name: claim.default('name').describe('What the person is called. Default name.'),
      groups: claim.default('groups').describe('Groups, as a list or a string. Default groups.'),
    })
    .prefault({})
    .describe('Which claims make the principal. A dot goes into a nested claim.'),
  clock_tolerance: tolerance,
  device_login: z.boolean().default(false).describe('Allow sign-in by code. Default false.'),
})

const ci = z.strictObject({
  kind: z.literal('ci'),
  issuer: issuerUrl,
  audience,
  algorithms,
  clock_tolerance: tolerance,
  accept: listOf(
    z.strictObject({
      match: z
        .record(claim, z.union([member, listOf(member, 'a list of values')], { error: 'a value' }))
        .refine(match => Object.keys(match).length > 0, {
          error: 'match needs at least one claim, or every job anywhere would be let in',
        })
        .describe('Claims that must all have this value, or one of these.'),
      as: text('a name like ci/shop-migrations', /^ci\/[a-z0-9][a-z0-9._-]{0,62}$/),
      groups: listOf(member, 'a list of groups').default([]),
    }),
    'a list of { match, as, groups }',
  ).describe('Which jobs are let in, and as whom. The first match counts.'),
})

const target = z.strictObject({
  title: title.optional().describe('What it is, for people.'),
  url: text('a URL like postgresql://db.example.com:5432/app', /^postgres(ql)?:\/\/\S+$/).describe(
    'Where the database is. No user and no password: those are under credentials.',
  ),
  sslmode: z
    .enum(SSL_MODES, { error: `one of ${SSL_MODES.join(', ')}` })
    .optional()
    .describe('Default verify-full, and prefer for a database on this machine.'),
  sslrootcert: path.optional().describe('Certificate authorities for this database, in PEM.'),
  local_port: integer(1024, 65_535)
    .optional()
    .describe('The port on every laptop. Default one made from the name.'),
  environment: name.optional().describe('Like production, which is red in every list.'),
  databases: listOf(text('a database name', /^[^\p{Cc}]{1,63}$/u), 'a list of databases')
    .optional()
    .describe('Databases that may be opened. Default only the one in the url.'),
  credentials: namedMap(credential, 'a map of roles to credentials')
    .refine(roles => Object.keys(roles).length > 0, {
      error: 'credentials needs at least one role',
    })
    .describe('One PostgreSQL login for each role. People never see them.'),
})

const auditors = z.strictObject({
  groups: listOf(member, 'a list of groups').default([]),
  users: listOf(member, 'a list of users').default([]),
})

const webhookUrl = text('a URL like https://siem.example.com/in', /^https?:\/\/[^#@\s]+$/).refine(
  isSafeToPost,
  { error: 'expected https: whoever is on the way could read what is asked for, and by whom' },
)

/** True for https, and for plain http that stays on this machine. */
function isSafeToPost(written: string): boolean {
  const url = URL.parse(written)
  return url !== null && (url.protocol === 'https:' || isLoopback(url.hostname))
}

const CHANNEL_KINDS = ['slack', 'webhook'] as const

const channel = z
  .strictObject(
    {
      slack: z
        .strictObject({
          webhook: secret.describe('The URL of an incoming webhook: who has it can post.'),
        })
        .optional()
        .describe('A channel of Slack, or of anything that takes its messages.'),
      webhook: z
        .strictObject({
          url: webhookUrl.describe('Where to post. http only on this machine.'),
          secret: secret.describe('What messages are signed with (HMAC-SHA-256).'),
        })
        .optional()
        .describe('Anything that takes JSON by POST.'),
    },
    { error: 'a map with either slack or webhook' },
  )
  .refine(each => CHANNEL_KINDS.filter(kind => each[kind] !== undefined).length === 1, {
    error: 'expected either slack or webhook',
  })
  .meta({ minProperties: 1, maxProperties: 1 })

/** The whole of `dbgate.yaml`. */
export const serverSchema = z.strictObject({
  version: z.literal(1, { error: 'version 1' }),
  server,
  issuers: namedMap(z.discriminatedUnion('kind', [people, ci]), 'a map of issuers')
    .refine(all => Object.keys(all).length > 0, { error: 'issuers needs at least one' })
    .describe('Who may vouch for people and for jobs.'),
  targets: namedMap(target, 'a map of targets')
    .refine(all => Object.keys(all).length > 0, { error: 'targets needs at least one' })
    .describe('The databases, by the name people type.'),
  recording: recording.prefault({}).describe('What is kept of sessions, and for how long.'),
  auditors: auditors.optional().describe("Who may read everyone's audit records."),
  bypass: z
    .strictObject({
      every: z
        .union([z.literal('off'), duration(SECOND, 24 * HOUR)], {
          error: 'off, or a duration like 5m',
        })
        .default(5 * 60 * SECOND)
        .describe('How often the databases are asked. Default 5m.'),
      except: listOf(text('a database user', /^[^\p{Cc}]{1,63}$/u), 'a list of database users')
        .default([])
        .describe('Database users that connect directly on purpose, like the application itself.'),
    })
    .prefault({})
    .describe('Looks for connections to the databases that did not come through the gate.'),
  export: namedMap(exportSink, 'a map of sinks')
    .default({})
    .describe('Where audit events are sent besides the log, in order and at least once.'),
  notify: namedMap(channel, 'a map of channels')
    .default({})
    .describe('Where people hear of what waits for them, by the name that policies use.'),
})

/** `dbgate.yaml` as validated, spelled as in the file. */
export type ServerFile = z.output<typeof serverSchema>
export type TargetFile = z.output<typeof target>
export type CredentialFile = z.output<typeof credential>
export type SecretFile = z.output<typeof secret>
export type ChannelFile = z.output<typeof channel>
