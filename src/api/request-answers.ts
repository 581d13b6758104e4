import {
  boolean,
  instant,
  type JsonObject,
  list,
  maybe,
  number,
  object,
  text,
  texts,
} from './shape.ts'

/*
 * What the API answers about requests and the policy, as the client sees it; see `answers.ts`.
 */

/** A bound value as it is on record. */
export type ShownValue = string | null | JsonObject

/** The part of a request that only a held statement has. */
export type StatementAnswer = {
  readonly sql: string
  /** The bytes, where `sql` is not all of them. */
  readonly sqlBase64: string | undefined
  readonly sqlSha256: string
  readonly parameters: readonly ShownValue[]
  readonly statements: readonly {
    readonly kind: string
    readonly class: string
    readonly relations: readonly string[]
  }[]
  readonly database: string
  readonly session: string
  readonly application: string
  readonly settings: Readonly<Record<string, string>>
  readonly isInTransaction: boolean
  readonly rowsEstimate: number | undefined
  /** Its client waits for the answer. */
  readonly isOnLine: boolean
  readonly irreversible: { readonly word: string; readonly why: string } | undefined
  readonly ran:
    | { readonly outcome: string; readonly tag: string | undefined; readonly durationMs: number }
    | undefined
}

/** The part of a request that only a wish for a role has. */
export type AccessAnswer = {
  readonly forMs: number
  readonly ticket: string | undefined
  readonly from: string
}

/** What waits for a person, or did. */
export type RequestAnswer = {
  readonly id: string
  readonly state: string
  readonly user: string
  readonly via: string | undefined
  readonly connection: string
  readonly role: string
  readonly rule: string
  readonly reason: string | undefined
  readonly need: number
  readonly have: number
  readonly approvers: readonly string[]
  readonly createdAt: number
  readonly expiresAt: number
  readonly decided: readonly {
    readonly by: string
    readonly what: string
    readonly at: number
    readonly comment: string | undefined
  }[]
  /** When it was over, by whom and why, as far as somebody or something said so. */
  readonly finished:
    | { readonly at: number; readonly by: string | undefined; readonly why: string | undefined }
    | undefined
  readonly isYours: boolean
  readonly waitsForYou: boolean
  readonly statement: StatementAnswer | undefined
  readonly access: AccessAnswer | undefined
  /** As the server sent it, for `--json`. */
  readonly raw: JsonObject
}

export function readRequest(value: unknown, where = 'request'): RequestAnswer {
  const raw = object(value, where)
  const isStatement = text(raw.kind, `${where}.kind`) === 'statement'
  return {
    id: text(raw.id, `${where}.id`),
    state: text(raw.state, `${where}.state`),
    user: text(raw.user, `${where}.user`),
    via: maybe(raw.via, `${where}.via`, text),
    connection: text(raw.connection, `${where}.connection`),
    role: text(raw.role, `${where}.role`),
    rule: text(raw.rule, `${where}.rule`),
    reason: maybe(raw.reason, `${where}.reason`, text),
    need: number(raw.need, `${where}.need`),
    have: number(raw.have, `${where}.have`),
    approvers: texts(raw.approvers, `${where}.approvers`),
    createdAt: instant(raw.created_at, `${where}.created_at`),
    expiresAt: instant(raw.expires_at, `${where}.expires_at`),
    decided: list(raw.decided, `${where}.decided`, readVote),
    finished: maybe(raw.finished, `${where}.finished`, readMark),
    isYours: boolean(raw.is_yours, `${where}.is_yours`),
    waitsForYou: boolean(raw.waits_for_you, `${where}.waits_for_you`),
    statement: isStatement ? readStatement(raw, where) : undefined,
    access: isStatement
      ? undefined
      : {
          forMs: number(raw.for_ms, `${where}.for_ms`),
          ticket: maybe(raw.ticket, `${where}.ticket`, text),
          from: text(raw.from, `${where}.from`),
        },
    raw,
  }
}

function readVote(value: unknown, where: string): RequestAnswer['decided'][number] {
  const vote = object(value, where)
  return {
    by: text(vote.by, `${where}.by`),
    what: text(vote.what, `${where}.what`),
    at: instant(vote.at, `${where}.at`),
    comment: maybe(vote.comment, `${where}.comment`, text),
  }
}

function readMark(value: unknown, where: string): NonNullable<RequestAnswer['finished']> {
  const mark = object(value, where)
  return {
    at: instant(mark.at, `${where}.at`),
    by: maybe(mark.by, `${where}.by`, text),
    why: maybe(mark.why, `${where}.why`, text),
  }
}

function readStatement(raw: JsonObject, where: string): StatementAnswer {
  return {
    sql: text(raw.sql, `${where}.sql`),
    sqlBase64: maybe(raw.sql_base64, `${where}.sql_base64`, text),
    sqlSha256: text(raw.sql_sha256, `${where}.sql_sha256`),
    parameters: list(raw.parameters, `${where}.parameters`, (value, place) =>
      value === null ? null : typeof value === 'string' ? value : object(value, place),
    ),
    statements: list(raw.statements, `${where}.statements`, (item, place) => {
      const one = object(item, place)
      return {
        kind: text(one.kind, `${place}.kind`),
        class: text(one.class, `${place}.class`),
        relations: list(one.relations, `${place}.relations`, readRelation),
      }
    }),
    database: text(raw.database, `${where}.database`),
    session: text(raw.session, `${where}.session`),
    application: text(raw.application, `${where}.application`),
    settings: Object.fromEntries(
      Object.entries(object(raw.settings, `${where}.settings`)).map(([name, value]) => [
        name,
        text(value, `${where}.settings.${name}`),
      ]),
    ),
    isInTransaction: boolean(raw.in_transaction, `${where}.in_transaction`),
    rowsEstimate: maybe(raw.rows_estimate, `${where}.rows_estimate`, number),
    isOnLine: boolean(raw.is_on_line, `${where}.is_on_line`),
    irreversible: maybe(raw.irreversible, `${where}.irreversible`, (value, place) => {
      const found = object(value, place)
      return { word: text(found.word, `${place}.word`), why: text(found.why, `${place}.why`) }
    }),
    ran: maybe(raw.ran, `${where}.ran`, (value, place) => {
      const ran = object(value, place)
      return {
        outcome: text(ran.outcome, `${place}.outcome`),
        tag: maybe(ran.tag, `${place}.tag`, text),
        durationMs: number(ran.durationMs, `${place}.durationMs`),
      }
    }),
  }
}

function readRelation(value: unknown, where: string): string {
  const relation = object(value, where)
  const schema = maybe(relation.schema, `${where}.schema`, text)
  const name = text(relation.name, `${where}.name`)
  return schema === undefined ? name : `${schema}.${name}`
}

/** What came of a decision. `missing`: groups of whom one more is needed, empty once it is approved. */
export type DecisionAnswer = {
  readonly request: RequestAnswer
  readonly missing: readonly { readonly by: readonly string[]; readonly need: number }[]
  readonly raw: JsonObject
}

export function readDecision(value: unknown): DecisionAnswer {
  const raw = object(value, 'decision')
  return {
    request: readRequest(raw.request),
    missing: list(raw.missing, 'missing', (item, where) => {
      const one = object(item, where)
      return { by: texts(one.by, `${where}.by`), need: number(one.need, `${where}.need`) }
    }),
    raw,
  }
}

/** A role that can be asked for, or taken in an emergency. Units: ms. */
export type RequestableAnswer = {
  readonly target: string
  readonly role: string
  readonly maxMs: number
  readonly approvers: readonly string[]
  readonly isBreakGlass: boolean
}

export function readRequestable(value: unknown, where: string): RequestableAnswer {
  const one = object(value, where)
  return {
    target: text(one.target, `${where}.target`),
    role: text(one.role, `${where}.role`),
    maxMs: number(one.max_ms, `${where}.max_ms`),
    approvers: texts(one.approvers, `${where}.approvers`),
    isBreakGlass: boolean(one.break_glass, `${where}.break_glass`),
  }
}

/** What came of asking for a role. `told`: channels that heard of it. */
export type AccessMade = {
  readonly request: RequestAnswer
  readonly isNew: boolean
  readonly told: readonly string[]
}

export function readAccessMade(value: unknown): AccessMade {
  const raw = object(value, 'access')
  return {
    request: readRequest(raw.request),
    isNew: boolean(raw.is_new, 'is_new'),
    told: texts(raw.told, 'told'),
  }
}

/** A verdict and what led to it. */
export type ExplanationAnswer = {
  readonly verdict: string
  readonly decidedBy: readonly string[]
  readonly role: {
    readonly name: string
    readonly may: readonly string[]
    readonly missing: readonly string[]
  }
  readonly statements: readonly {
    readonly kind: string
    readonly class: string
    readonly tables: readonly string[]
    readonly where: string
    readonly unread: string | undefined
  }[]
  readonly rules: readonly {
    readonly name: string
    readonly matched: string
    readonly effect: string
    readonly why: string
    readonly at: string
    readonly isDecisive: boolean
  }[]
  /** What is shown of each column of the result; empty where it was not looked up, or there is no mask. */
  readonly columns: readonly {
    readonly name: string
    readonly from: readonly string[]
    readonly mask: string | undefined
    readonly why: string
    readonly at: string | undefined
  }[]
  /** How many masks there are for whoever asks. */
  readonly masks: number
  /** The database was asked what names stand for. */
  readonly isLookedUp: boolean
  readonly message: string | undefined
  readonly next: string | undefined
  readonly approvers: readonly string[]
  readonly raw: JsonObject
}

export function readExplanation(value: unknown): ExplanationAnswer {
  const raw = object(value, 'explanation')
  const role = object(raw.role, 'role')
  return {
    verdict: text(raw.verdict, 'verdict'),
    decidedBy: texts(raw.decided_by, 'decided_by'),
    role: {
      name: text(role.name, 'role.name'),
      may: texts(role.may, 'role.may'),
      missing: texts(role.missing, 'role.missing'),
    },
    statements: list(raw.statements, 'statements', (item, where) => {
      const one = object(item, where)
      return {
        kind: text(one.kind, `${where}.kind`),
        class: text(one.class, `${where}.class`),
        tables: texts(one.tables, `${where}.tables`),
        where: text(one.where, `${where}.where`),
        unread: maybe(one.unread, `${where}.unread`, text),
      }
    }),
    rules: list(raw.rules, 'rules', (item, where) => {
      const rule = object(item, where)
      return {
        name: text(rule.name, `${where}.name`),
        matched: text(rule.matched, `${where}.matched`),
        effect: text(rule.effect, `${where}.effect`),
        why: text(rule.why, `${where}.why`),
        at: text(rule.at, `${where}.at`),
        isDecisive: boolean(rule.decided, `${where}.decided`),
      }
    }),
    columns: maybe(raw.columns, 'columns', readColumns) ?? [],
    masks: maybe(raw.masks, 'masks', number) ?? 0,
    isLookedUp: maybe(raw.is_looked_up, 'is_looked_up', boolean) ?? false,
    message: maybe(raw.message, 'message', text),
    next: maybe(raw.next, 'next', text),
    approvers: maybe(raw.approvers, 'approvers', texts) ?? [],
    raw,
  }
}

function readColumns(value: unknown, where: string): ExplanationAnswer['columns'] {
  return list(value, where, (item, place) => {
    const one = object(item, place)
    return {
      name: text(one.name, `${place}.name`),
      from: texts(one.from, `${place}.from`),
      mask: maybe(one.mask, `${place}.mask`, text),
      why: text(one.why, `${place}.why`),
      at: maybe(one.at, `${place}.at`, text),
    }
  })
}
