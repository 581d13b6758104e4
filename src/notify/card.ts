import type { ApprovalEvent } from '../approval/index.ts'
import type { ApprovalRequest } from '../store/index.ts'
import { visible } from '../terminal.ts'

const MAX_SQL_CHARS = 500
const MAX_WORD_CHARS = 200

/**
 * What is told of an event: all text in it is cut and inert. Made at once, so that no request with its parameters
 * is kept in a queue.
 */
export type Announcement = {
  readonly event: 'filed' | 'approved' | 'denied' | 'expired' | 'break-glass'
  readonly id: string
  readonly kind: 'statement' | 'access'
  /** Epoch milliseconds. */
  readonly at: number
  readonly user: string
  readonly via: string | undefined
  readonly target: string
  readonly role: string
  readonly rule: string
  readonly reason: string | undefined
  readonly sql: string | undefined
  /** Characters of the statement that are not shown. */
  readonly sqlCutChars: number
  /** The groups of those who decide, or review, and how many it takes. */
  readonly approvers: readonly string[]
  readonly need: number
  /** Who decided, and their words. */
  readonly by: string | undefined
  readonly why: string | undefined
  /** Of the wait, the approval or the role; epoch milliseconds. */
  readonly expiresAt: number
  /** What a person types next. */
  readonly command: string | undefined
}

/** What is to be told of an event, or undefined for one that nobody outside hears of. */
export function announcementOf(event: ApprovalEvent, now: number): Announcement | undefined {
  const told = toldAs(event)
  if (told === undefined) return undefined
  const { request } = event
  const { id, kind, terms } = request
  const mark = told === 'expired' ? undefined : request.decided
  const text = request.kind === 'statement' ? request.statement.text : undefined
  const sql = text === undefined ? undefined : cut(text, MAX_SQL_CHARS)
  return {
    ...{ event: told, id, kind, at: now, expiresAt: request.expiresAt },
    user: word(request.requester.user),
    via: request.agent === '' ? undefined : word(request.agent),
    target: word(request.target),
    role: word(request.role),
    rule: word(request.rule),
    reason: request.reason === undefined ? undefined : word(request.reason),
    sql: sql === undefined ? undefined : visible(sql, { keepNewlines: true }),
    sqlCutChars: text === undefined || sql === undefined ? 0 : text.length - sql.length,
    approvers: terms.by.map(word),
    need: terms.need,
    by: mark?.by === undefined ? undefined : word(mark.by),
    why: mark?.why === undefined || told === 'break-glass' ? undefined : word(mark.why),
    command: told === 'filed' ? `dbgate approve ${id}` : undefined,
  }
}

/** Roles that are had without asking are told once, when they are in force. */
function toldAs({ what, request }: ApprovalEvent): Announcement['event'] | undefined {
  switch (what) {
    case 'filed':
      return isAsked(request) ? 'filed' : undefined
    case 'approved':
      return request.kind === 'access' && request.from === 'break-glass' ? 'break-glass' : what
    case 'denied':
    case 'expired':
      return what
    default:
      return undefined
  }
}

function isAsked(request: ApprovalRequest): boolean {
  return request.kind === 'statement' || request.from === 'request'
}

function word(text: string): string {
  const short = cut(text, MAX_WORD_CHARS)
  return visible(short) + (short.length < text.length ? '…' : '')
}

/** The first characters, never half of one. */
function cut(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text
  const isSplit = /[\ud800-\udbff]/.test(text.charAt(maxChars - 1))
  return text.slice(0, isSplit ? maxChars - 1 : maxChars)
}
