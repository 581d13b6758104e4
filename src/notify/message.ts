import type { Announcement } from './card.ts'

/** A card with what its queue knows: the same `deliveryId` at each attempt, and how many were lost before it. */
export type Delivery = {
  readonly card: Announcement
  readonly deliveryId: string
  readonly missed: number
}

/** The body for Slack, and for what takes Slack's messages. */
export function slackBody({ card, missed }: Delivery): string {
  const facts = [
    `who      ${card.user}${card.via === undefined ? '' : ` via ${card.via}`}`,
    `target   ${card.target} as ${card.role}`,
    `rule     ${card.rule}`,
    ...(card.reason === undefined ? [] : [`reason   ${card.reason}`]),
    ...(card.by === undefined || card.event === 'break-glass' ? [] : [`by       ${card.by}`]),
    ...(card.why === undefined ? [] : [`why      ${card.why}`]),
    ...askedOf(card),
    `until    ${isoTime(card.expiresAt)}`,
  ]
  const parts = [
    `*${card.id}* ${headline(card)}`,
    fence(facts.join('\n')),
    // Last and in a box of its own: nothing a statement says can pass for one of the facts.
    ...(card.sql === undefined ? [] : [fence(card.sql)]),
    ...(card.sqlCutChars === 0 ? [] : [`${card.sqlCutChars} more characters are not shown here.`]),
    ...(card.command === undefined ? [] : [`To decide: ${fence(card.command)}`]),
    ...(missed === 0 ? [] : [`${missed} earlier messages could not be delivered.`]),
  ]
  return JSON.stringify({ text: parts.join('\n'), unfurl_links: false, unfurl_media: false })
}

function headline({ event, kind }: Announcement): string {
  switch (event) {
    case 'filed':
      return kind === 'statement' ? 'a statement waits for approval' : 'a role is asked for'
    case 'approved':
      return 'was approved'
    case 'denied':
      return 'was denied'
    case 'expired':
      return 'has expired'
    case 'break-glass':
      return 'somebody broke the glass: a role was taken without asking'
    default:
      return event satisfies never
  }
}

function askedOf({ event, approvers, need }: Announcement): string[] {
  if (approvers.length === 0) return []
  const groups = approvers.map(group => `@${group}`).join(', ')
  if (event === 'filed') return [`needs    ${need} of ${groups}`]
  return event === 'break-glass' ? [`review   by ${groups}`] : []
}

/**
 * A box in which Slack takes everything as text: no links, no mentions, no bold. `&`, `<` and `>` are escaped as
 * Slack wants it; a back-quote, which could end the box, becomes `ˋ` (U+02CB).
 * Source: https://docs.slack.dev/messaging/formatting-message-text
 */
function fence(text: string): string {
  const escaped = text
    .replaceAll('`', '\u02cb')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
  return `\`\`\`\n${escaped}\n\`\`\``
}

/** The body for a webhook: one flat object; what does not apply is left out. */
export function webhookBody({ card, deliveryId, missed }: Delivery): string {
  return JSON.stringify({
    v: 1,
    id: deliveryId,
    event: card.event,
    at: isoTime(card.at),
    request: card.id,
    kind: card.kind,
    user: card.user,
    via: card.via,
    target: card.target,
    role: card.role,
    rule: card.rule,
    reason: card.reason,
    sql: card.sql,
    sql_cut_chars: card.sql === undefined ? undefined : card.sqlCutChars,
    approvers: card.approvers,
    need: card.need,
    by: card.by,
    why: card.why,
    expires_at: isoTime(card.expiresAt),
    command: card.command,
    missed,
  })
}

function isoTime(at: number): string {
  return new Date(at).toISOString()
}
