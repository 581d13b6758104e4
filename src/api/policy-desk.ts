import type { PolicyDocument } from '../config/index.ts'
import { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type {
  Explanation,
  Extra,
  MaskOutcome,
  Policy,
  TargetView,
  TestResult,
} from '../policy/index.ts'
import type { Analysis, Catalog } from '../sql/index.ts'
import { type ExplainedMasks, explainMasks, type Schema, type Trace } from './mask-desk.ts'
import type { Irreversible } from './request-view.ts'

/*
 * What can be asked of a policy besides letting statements through: why, and whether its own tests hold. The
 * server asks here for people, and the command line for files that no server has.
 */

/** Says what a text does. Without a catalog, names stand for what the text alone says. */
export type Analyse = (sql: string, catalog?: Catalog) => Analysis | Promise<Analysis>

/** What a question is answered with. */
export type DeskTools = {
  readonly analyse: Analyse
  readonly trace: Trace
  /** The schema of a target as a role sees it; undefined where it can't be had. */
  readonly schemaOf: (target: string, role: string) => Promise<Schema | undefined>
}

/** A statement and the circumstances under which it is judged. Units: `at` is epoch milliseconds. */
export type PolicyQuestion = {
  readonly sql: string
  readonly target: string
  readonly role: string | undefined
  readonly agent: string | undefined
  readonly at: number
  readonly environment: string | undefined
}

/**
 * Explains a verdict as the API answers it.
 *
 * Throws: NO_TARGET nobody like this has a role on that target.
 */
export async function explainPolicy(
  policy: Policy,
  principal: Principal,
  question: PolicyQuestion,
  { analyse, trace, schemaOf }: DeskTools,
  extra?: Extra,
): Promise<unknown> {
  const { target, role, agent, at, environment, sql } = question
  const grant = policy
    .grantsOf(principal, extra)
    .find(each => each.target === target && (role === undefined || each.role === role))
  if (grant === undefined) {
    throw new DbgateError('NO_TARGET', `no target "${target}" is open to ${whoOf(principal)}`, {
      next: ['dbgate ls'],
    })
  }
  const schema = await schemaOf(target, grant.role)
  const analysis = await analyse(sql, schema?.catalog)
  const masks =
    schema === undefined ? undefined : await explainMasks(grant, agent, analysis, schema, trace)
  const explanation = policy.explain({
    ...{ principal, grant, agent, analysis, at, environment },
    inTransaction: false,
  })
  const view = explanationView(explanation, sql, target, schema !== undefined)
  const found = { ...view, ...maskView(masks, view.verdict), masks: grant.masks.length }
  return found
}

const VERDICTS = { allow: 'allowed', deny: 'denied', hold: 'held' } as const

/** Masks change nothing for what is refused anyway; refusing comes before asking, and asking before masking. */
function maskView(masks: ExplainedMasks | undefined, verdict: string): Record<string, unknown> {
  if (masks === undefined || verdict === 'denied') return {}
  const { plan, columns, masked } = masks
  if (plan.outcome === 'deny') {
    const { message, detail, hint } = plan.error
    return { verdict: 'denied', decided_by: [plan.rule], message, detail: detail ?? hint }
  }
  const shown = { columns: columns.map(column => ({ ...column, mask: column.mask ?? null })) }
  if (plan.outcome === 'approve') {
    const { approve, reason } = plan
    const held = { decided_by: [plan.rule], reason, approvers: approve.by, need: approve.need }
    return { ...shown, verdict: 'held', ...(verdict === 'held' ? {} : held) }
  }
  return masked > 0 && verdict === 'allowed' ? { ...shown, verdict: 'masked' } : shown
}

function explanationView(
  explanation: Explanation,
  sql: string,
  target: string,
  isLookedUp: boolean,
): Record<string, unknown> & { readonly verdict: string } {
  const { verdict, statements, role, rules, next } = explanation
  const common = {
    verdict: VERDICTS[verdict.outcome],
    connection: target,
    sql,
    // Triggers, views and functions of the database can change what it does; the gate looks them up when it runs.
    is_looked_up: isLookedUp,
    decided_by: verdict.outcome === 'allow' ? [verdict.rule] : verdict.rules,
    role,
    statements,
    rules: rules.map(({ does, decided, ...rule }) => ({ ...rule, effect: does, decided })),
    next,
  }
  switch (verdict.outcome) {
    case 'deny':
      return { ...common, message: verdict.error.message, detail: verdict.error.detail }
    case 'hold': {
      const { approve, reason } = verdict
      return { ...common, reason, approvers: approve.by, need: approve.need }
    }
    case 'allow':
      return { ...common, observed: verdict.observed }
    default:
      return verdict satisfies never
  }
}

function whoOf({ user, groups }: Principal): string {
  return groups.length === 0 ? user : `${user} (${groups.join(', ')})`
}

/** Somebody of these groups whom no issuer has named: for asking what they could do. */
export function supposed(groups: readonly string[], user = 'somebody'): Principal {
  const expiresAt = Number.MAX_SAFE_INTEGER
  return { issuer: 'supposed', subject: user, user, name: user, groups, expiresAt }
}

const GONE = ['DROP', 'TRUNCATE', 'ALTER', 'COPY_PROGRAM', 'DO', 'CALL']
const CHANGING = ['DELETE', 'UPDATE', 'MERGE']

/**
 * What of a text cannot be undone, or not be told: DROP, TRUNCATE and the like wherever they hide, and changes
 * of all rows. Undefined for what touches only some rows, or none.
 */
export function irreversibleIn(analysis: Analysis): Irreversible | undefined {
  if (!analysis.ok) return { word: 'UNREAD', why: 'it could not be read' }
  for (const { kinds, where, notUnderstood } of analysis.statements) {
    const gone = GONE.find(kind => kinds.some(each => each.split(' ')[0] === kind))
    if (gone !== undefined) return { word: gone, why: `${gone} cannot be undone` }
    const change = CHANGING.find(kind => kinds.includes(kind))
    if (change !== undefined && (where === 'missing' || where === 'trivial')) {
      return { word: change, why: `${change} of every row: its WHERE keeps nothing back` }
    }
    if (notUnderstood.length > 0) return { word: 'UNREAD', why: 'parts of it could not be read' }
  }
  return undefined
}

/** A policy of files, ready to be asked on a machine that has no server. */
export type LocalPolicy = {
  readonly describe: (target: string, environment: string | undefined) => TargetView
  readonly runTests: (
    environmentOf: (target: string) => string | undefined,
  ) => Promise<readonly TestResult[]>
  readonly explain: (principal: Principal, question: PolicyQuestion) => Promise<unknown>
  readonly close: () => Promise<void>
}

/** Compiles a policy and brings the parser up. Both are loaded only here: no other command needs them. */
export async function openLocalPolicy(
  document: PolicyDocument,
  schemaOf: DeskTools['schemaOf'] = async () => undefined,
): Promise<LocalPolicy> {
  const { compilePolicy } = await import('../policy/index.ts')
  const { createAnalyser, EMPTY_SCOPE } = await import('../sql/index.ts')
  const policy = compilePolicy(document)
  const analyser = createAnalyser()
  await analyser.ready()
  const analyse: Analyse = (sql, catalog) =>
    analyser.analyse(Buffer.from(sql), EMPTY_SCOPE, catalog)
  const trace: Trace = (statement, catalog) => analyser.lineage(statement, EMPTY_SCOPE, catalog)
  return {
    describe: (target, environment) => policy.describe(target, environment),
    runTests: environmentOf =>
      policy.runTests({
        analyse: async (sql, { target, role }) =>
          analyse(sql, (await schemaOf(target, role))?.catalog),
        masks: async question => {
          const { grant, agent, analysis } = question
          const schema = await schemaOf(grant.target, grant.role)
          return schema && maskOutcome(await explainMasks(grant, agent, analysis, schema, trace))
        },
        environmentOf,
      }),
    explain: (principal, question) =>
      explainPolicy(policy, principal, question, { analyse, trace, schemaOf }),
    close: () => analyser.close(),
  }
}

const GIVES = { clear: 'allowed', guard: 'masked', deny: 'denied', approve: 'held' } as const

function maskOutcome(masks: ExplainedMasks | undefined): MaskOutcome {
  if (masks === undefined) return { gives: 'allowed', columns: {} }
  const { plan, columns, masked } = masks
  const isShown = plan.outcome === 'guard' && masked === 0
  return {
    gives: isShown ? 'allowed' : GIVES[plan.outcome],
    columns: Object.fromEntries(
      columns.map(({ name, mask }) => [name, mask?.split(' ')[0] ?? 'shown']),
    ),
  }
}
