import type { Judged } from '../approval/index.ts'
import type { AccessEntry, ApproveTerms } from '../config/index.ts'
import { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type { Extra, Policy } from '../policy/index.ts'
import type { Analysis, Catalog, Scope } from '../sql/index.ts'
import type { ApprovalRequest, Hold, Terms } from '../store/index.ts'
import { explainMasks, type Schema, type Trace } from './mask-desk.ts'

/** What judging a statement again takes. */
export type RejudgeTools = {
  readonly analyse: (sql: string, catalog: Catalog, scope: Scope) => Analysis | Promise<Analysis>
  readonly trace: Trace
  /** The schema of a database as a role sees it; undefined where it can't be had. */
  readonly schemaOf: (target: string, role: string, database: string) => Promise<Schema | undefined>
  /** Roles that somebody was given for a while. */
  readonly extraOf: (principal: Principal) => Extra
  readonly environmentOf: (target: string) => string | undefined
}

/**
 * What the policy in force says of a request that was filed under another: a statement is judged by all rules and
 * masks, as if its requester had sent it now with the groups that they had; a role by who can be asked for it.
 * Where it would not be held any more, what it took before is what it takes.
 *
 * Nobody gets a right by that: a statement is judged by the policy in force again when it is sent to be run, and
 * a role is given only as far as somebody can still be asked for it.
 *
 * Throws: UPSTREAM it can't be judged, because the schema can't be had. Nothing may be decided then.
 */
export async function rejudgeBy(
  policy: Policy,
  request: ApprovalRequest,
  tools: RejudgeTools,
): Promise<Judged> {
  if (request.kind === 'access') return accessNow(policy, request)
  // What was prepared is known to the session alone, which judges it by all of the policy when it is sent again.
  const isOfSession = Object.keys(request.statement.scope).some(name =>
    /^(prepared|cursor) /.test(name),
  )
  return isOfSession ? byOwnRules(policy, request) : statementNow(policy, request, tools)
}

async function statementNow(policy: Policy, hold: Hold, tools: RejudgeTools): Promise<Judged> {
  const { target, role, agent, statement } = hold
  const principal = requesterOf(hold)
  const extra = tools.extraOf(principal)
  const grant = policy
    .grantsOf(principal, extra)
    .find(each => each.target === target && each.role === role)
  if (grant === undefined) return { outcome: 'deny', rule: `role ${role}` }
  const schema = await tools.schemaOf(target, role, statement.database)
  if (schema === undefined) {
    throw new DbgateError('UPSTREAM', `${hold.id} cannot be judged by the new policy now`, {
      detail: 'The schema of its database cannot be read. Nothing was decided.',
    })
  }
  const isMoved = Object.keys(statement.scope).some(name => name.toLowerCase() === 'search_path')
  const scope: Scope = {
    prepared: new Map(),
    cursors: new Map(),
    searchPath: isMoved ? 'moved' : 'initial',
  }
  const analysis = await tools.analyse(statement.text, schema.catalog, scope)
  const verdict = policy.evaluate({
    ...{ principal, grant, agent, analysis, at: extra.at },
    application: statement.application,
    environment: tools.environmentOf(target),
    inTransaction: statement.inTransaction,
    rowsEstimate: statement.rowsEstimate,
  })
  if (verdict.outcome === 'deny') return { outcome: 'deny', rule: verdict.rule }
  const plan = (await explainMasks(grant, agent, analysis, schema, tools.trace))?.plan
  if (plan?.outcome === 'deny') return { outcome: 'deny', rule: plan.rule }
  const asked = [
    ...(verdict.outcome === 'hold' ? [verdict] : []),
    ...(plan?.outcome === 'approve' ? [plan] : []),
  ]
  const [first] = asked
  if (first === undefined) return { outcome: 'allow' }
  return { outcome: 'hold', rule: first.rule, terms: together(asked.map(each => each.approve)) }
}

function requesterOf({ requester, groups }: Hold): Principal {
  const { issuer, subject, user, name } = requester
  return { issuer, subject, user, name, groups: groups ?? [], expiresAt: Number.MAX_SAFE_INTEGER }
}

function together(all: readonly Terms[]): Terms {
  return {
    requirements: all.flatMap(({ requirements }) => requirements),
    by: [...new Set(all.flatMap(({ by }) => by))].sort(),
    need: Math.max(...all.map(({ need }) => need)),
    expiresMs: Math.min(...all.map(({ expiresMs }) => expiresMs)),
    presence: all.some(({ presence }) => presence === 'step-up') ? 'step-up' : undefined,
  }
}

/** By the terms that its rules have now. */
function byOwnRules({ document }: Policy, request: Hold): Judged {
  const asked = request.terms.requirements.map(({ rule }) => {
    const found = (document.rules ?? []).find(({ name }) => name === rule)
    return found?.effect.does === 'approve' ? { rule, terms: found.effect.approve } : undefined
  })
  const found = asked.filter(each => each !== undefined)
  if (found.length === 0 || found.length < asked.length) return { outcome: 'allow' }
  return { outcome: 'hold', rule: request.rule, terms: combined(found) }
}

function accessNow({ document }: Policy, request: ApprovalRequest): Judged {
  const { target, role } = request
  const isFor = ({ grant }: AccessEntry) =>
    Object.hasOwn(grant, target) && grant[target]?.includes(role) === true
  const found = (document.access ?? []).filter(isFor).flatMap(({ approve }) => approve ?? [])
  const isRole = Object.hasOwn(document.roles, role)
  if (!isRole || found.length === 0) return { outcome: 'deny', rule: `access to ${role}` }
  return {
    outcome: 'hold',
    rule: request.rule,
    terms: combined(found.map(terms => ({ rule: 'access', terms }))),
    maxMs: Math.min(...found.map(({ maxMs }) => maxMs)),
  }
}

/** As strict as all of them together. */
function combined(
  asked: readonly { readonly rule: string; readonly terms: ApproveTerms }[],
): Terms {
  return {
    requirements: asked.map(({ rule, terms: { by, need } }) => ({ rule, by, need })),
    by: [...new Set(asked.flatMap(({ terms }) => terms.by))].sort(),
    need: Math.max(...asked.map(({ terms }) => terms.need)),
    expiresMs: Math.min(...asked.map(({ terms }) => terms.expiresMs)),
    presence: asked.some(({ terms }) => terms.presence === 'step-up') ? 'step-up' : undefined,
  }
}
