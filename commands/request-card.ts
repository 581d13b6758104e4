import type { RequestAnswer, StatementAnswer } from '../src/api/index.ts'
import { type Terminal, visible } from '../src/terminal.ts'
import { clockTime, span } from './times.ts'

/**
 * A request as people read it before they decide. All of it is text of others and has been made inert. `body` is
 * what is asked for, whole: the SQL and its values, or the role.
 */
export type Card = {
  readonly title: string
  readonly body: readonly string[]
  readonly facts: readonly string[]
}

/** The card of `requests show` and of the approve screen. */
export function cardOf(request: RequestAnswer, terminal: Terminal, now: number): Card {
  const { id, user, via, connection, statement, access, rule, approvers, need } = request
  const dot = ` ${terminal.marks.dot} `
  const who = via === undefined || via === 'unknown' ? user : `${user} via ${via} (agent)`
  const where = statement === undefined ? connection : `${connection}/${statement.database}`
  const left = request.state === 'open' ? `, ${span(request.expiresAt - now)} left` : ''
  const title = [id, who, where, `${span(now - request.createdAt)} ago${left}`].join(dot)
  const asks = `${rule}${dot}needs ${need} of ${groupsOf(approvers)}`
  const last = request.have > 0 ? `${dot}${request.have} so far` : ''
  const facts: (readonly [string, string])[] = [['rule', asks + last]]
  if (statement !== undefined) facts.unshift(['touches', touches(statement, dot)])
  if (request.reason !== undefined) facts.push(['reason', JSON.stringify(request.reason)])
  if (statement !== undefined) facts.push(...statementFacts(request, statement, dot))
  for (const { by, what, at, comment } of request.decided) {
    const said = comment === undefined ? '' : `: ${JSON.stringify(comment)}`
    facts.push([what, `by ${by} at ${clockTime(at, now)}${said}`])
  }
  if (request.state !== 'open') facts.push(['state', stateOf(request, now)])
  const body = statement === undefined ? accessBody(request, access) : statementBody(statement)
  return {
    title: visible(title),
    body: body.map(line => visible(line)),
    facts: facts.map(([name, text]) => `${name.padEnd(9)} ${visible(text)}`),
  }
}

/** The lines of a card without buttons. */
export function cardLines({ title, body, facts }: Card): readonly string[] {
  return [title, '', ...body.map(line => `    ${line}`), '', ...facts.map(line => `  ${line}`)]
}

function statementFacts(
  request: RequestAnswer,
  { session, application, sqlSha256, isInTransaction, parameters, irreversible }: StatementAnswer,
  dot: string,
): (readonly [string, string])[] {
  const transaction = isInTransaction ? 'in a transaction' : 'not in a transaction'
  const count = parameters.length
  const values = count === 0 ? 'no parameters' : count === 1 ? '1 parameter' : `${count} parameters`
  const from = application === '' ? session : `${session}${dot}${application}`
  return [
    ...(irreversible === undefined ? [] : [['careful', irreversible.why] as const]),
    ['as', `${request.role}${dot}${transaction}${dot}${values}`],
    ['session', `${from}${dot}sha ${sqlSha256.slice(0, 12)}`],
  ]
}

/** The statement whole, line by line as it was written, then its values and what else changes its meaning. */
function statementBody({ sql, sqlBase64, parameters, settings }: StatementAnswer): string[] {
  const lines = sql.split(/\r\n|\n/)
  if (sqlBase64 !== undefined) lines.push('', `-- not UTF-8; the bytes in base64: ${sqlBase64}`)
  if (parameters.length > 0) lines.push('')
  parameters.forEach((value, index) => {
    lines.push(`$${index + 1} = ${value === null ? 'NULL' : JSON.stringify(value)}`)
  })
  const set = Object.entries(settings)
  if (set.length > 0) lines.push('', ...set.map(([name, value]) => `-- ${name} = ${value}`))
  return lines
}

function accessBody({ connection, role }: RequestAnswer, access: RequestAnswer['access']) {
  const ticket = access?.ticket === undefined ? '' : `, ticket ${access.ticket}`
  return [`${role} on ${connection} for ${span(access?.forMs ?? 0)}${ticket}`]
}

function touches({ statements, rowsEstimate }: StatementAnswer, dot: string): string {
  const relations = [...new Set(statements.flatMap(each => each.relations))]
  const kinds = [...new Set(statements.map(({ kind }) => kind))]
  const rows = rowsEstimate === undefined ? [] : [`about ${rowsEstimate} rows (estimate)`]
  const tables = relations.length === 0 ? 'no table' : relations.join(', ')
  return [tables, kinds.join(', '), ...rows].join(dot)
}

/** What became of it, in one phrase. */
export function stateOf(
  { state, finished, decided, statement, expiresAt }: RequestAnswer,
  now: number,
) {
  const by = finished?.by ?? decided.at(-1)?.by
  const who = by === undefined ? '' : ` by ${by}`
  const why = finished?.why === undefined ? '' : `: "${finished.why}"`
  switch (state) {
    case 'open':
      return `open, ${span(expiresAt - now)} left`
    case 'approved':
      return statement === undefined
        ? `approved${who}, until ${clockTime(expiresAt, now)}`
        : `approved${who}, ${span(expiresAt - now)} left to send it`
    case 'used': {
      const ran = statement?.ran
      if (ran === undefined) return `approved${who}, and running`
      return `ran: ${ran.tag ?? ran.outcome} (${seconds(ran.durationMs)})`
    }
    default:
      return `${state}${who}${why}`
  }
}

/** `0.4 s`. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

/** `@dba, @sre-lead`. */
export function groupsOf(groups: readonly string[]): string {
  return groups.length === 0 ? 'nobody' : groups.map(group => `@${group}`).join(', ')
}

/** What is asked for, in one line: cut it to what there is room for. */
export function gistOf({ statement, access, role, reason }: RequestAnswer): string {
  if (statement !== undefined) return visible(statement.sql.replace(/\s+/g, ' ').trim())
  const why = reason === undefined ? '' : ` ${JSON.stringify(reason)}`
  return visible(`${role} for ${span(access?.forMs ?? 0)}${why}`)
}
