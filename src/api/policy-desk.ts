import type { PolicyDocument } from '../config/index.ts'
import { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type { Explanation, Extra, Policy, TargetView, TestResult } from '../policy/index.ts'
import type { Analysis } from '../sql/index.ts'
import type { Irreversible } from './request-view.ts'

/*
 * What can be asked of a policy besides letting statements through: why, and whether its own tests hold. The
 * server asks here for people, and the command line for files that no server has.
 */

/** Says what a text does. Without a catalog, names stand for what the text alone says. */
export type Analyse = (sql: string) => Analysis | Promise<Analysis>

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
  analyse: Analyse,
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
  const analysis = await analyse(sql)
  const explanation = policy.explain({
    ...{ principal, grant, agent, analysis, at, environment },
    inTransaction: false,
  })
  return explanationView(explanation, sql, target)
}

const VERDICTS = { allow: 'allowed', deny: 'denied', hold: 'held' } as const

function explanationView(explanation: Explanation, sql: string, target: string): unknown {
  const { verdict, statements, role, rules, next } = explanation
  const common = {
    verdict: VERDICTS[verdict.outcome],
    connection: target,
    sql,
    // Triggers, views and functions of the database can change what it does; the gate looks them up when it runs.
    is_looked_up: false,
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
export async function openLocalPolicy(document: PolicyDocument): Promise<LocalPolicy> {
  const { compilePolicy } = await import('../policy/index.ts')
  const { createAnalyser, EMPTY_SCOPE } = await import('../sql/index.ts')
  const policy = compilePolicy(document)
  const analyser = createAnalyser()
  await analyser.ready()
  const analyse: Analyse = sql => analyser.analyse(Buffer.from(sql), EMPTY_SCOPE)
  return {
    describe: (target, environment) => policy.describe(target, environment),
    runTests: environmentOf => policy.runTests({ analyse, environmentOf }),
    explain: (principal, question) => explainPolicy(policy, principal, question, analyse),
    close: () => analyser.close(),
  }
}
