import { createHash } from 'node:crypto'
import { isRequester, missing, waitsFor } from '../approval/index.ts'
import type { Principal } from '../identity/index.ts'
import type { ApprovalRequest, Hold } from '../store/index.ts'

/** What cannot be undone in a statement: words of which a person types one before they approve it. */
export type Irreversible = { readonly word: string; readonly why: string }

/**
 * A request as the API answers it: the statement whole, its parameters as recorded, and what this principal may do
 * about it. `irreversible` is asked only where one request is shown.
 */
export function requestView(
  request: ApprovalRequest,
  principal: Principal,
  irreversible?: Irreversible,
): unknown {
  const { id, kind, state, requester, agent, target, role, rule, reason, terms, votes } = request
  return {
    id,
    kind,
    state,
    user: requester.user,
    name: requester.name,
    via: agent === '' ? undefined : agent,
    connection: target,
    role,
    rule,
    reason,
    ...(request.kind === 'statement' ? statementView(request, irreversible) : accessView(request)),
    need: terms.need,
    have: votes.filter(({ vote }) => vote === 'approve').length,
    approvers: terms.by,
    missing: request.state === 'open' ? missing(request, terms) : [],
    presence: terms.presence,
    policy: request.policy,
    created_at: isoTime(request.filedAt),
    expires_at: isoTime(request.expiresAt),
    decided: votes.map(({ by, vote, at, comment }) => ({
      by: by.user,
      what: vote === 'approve' ? 'approved' : 'denied',
      at: isoTime(at),
      comment,
    })),
    finished:
      request.finished === undefined
        ? undefined
        : { ...request.finished, at: isoTime(request.finished.at) },
    is_yours: isRequester(request, principal),
    waits_for_you: waitsFor(request, principal),
  }
}

function statementView({ statement, line, isLetGo, use }: Hold, irreversible?: Irreversible) {
  return {
    sql: statement.text,
    sql_base64: statement.textBase64,
    sql_sha256: createHash('sha256')
      .update(
        statement.textBase64 === undefined
          ? statement.text
          : Buffer.from(statement.textBase64, 'base64'),
      )
      .digest('hex'),
    parameters: statement.parameters,
    statements: statement.statements,
    database: statement.database,
    session: statement.session,
    application: statement.application,
    settings: statement.scope,
    in_transaction: statement.inTransaction,
    rows_estimate: statement.rowsEstimate,
    is_on_line: line > 0 && !isLetGo,
    irreversible,
    ran: use?.ran,
    statement: use?.statement,
  }
}

function accessView(request: Extract<ApprovalRequest, { kind: 'access' }>) {
  const { forMs, ticket, from, review } = request
  return {
    for_ms: forMs,
    ticket,
    from,
    review:
      review === undefined
        ? undefined
        : {
            until: isoTime(review.until),
            by: review.done?.by.user,
            at: review.done === undefined ? undefined : isoTime(review.done.at),
            comment: review.done?.comment,
          },
  }
}

function isoTime(at: number): string {
  return new Date(at).toISOString()
}
