import assert from 'node:assert/strict'
import { join } from 'node:path'
import { loadPolicy } from '../../src/config/index.ts'
import type { Principal } from '../../src/identity/index.ts'
import { compilePolicy, grantFor, type Policy, type Question } from '../../src/policy/index.ts'
import { type Analyser, type Analysis, createAnalyser, EMPTY_SCOPE } from '../../src/sql/index.ts'
import { withFiles } from '../config/files.ts'

/** A Wednesday noon in Berlin. */
export const NOON = Date.parse('2026-03-04T12:00:00+01:00')

export const ANA: Principal = {
  issuer: 'https://issuer.example',
  subject: 'ana',
  user: 'ana@acme.dev',
  name: 'Ana Ruiz',
  groups: ['engineering'],
  expiresAt: Number.MAX_SAFE_INTEGER,
}

/** Loads policies as files and puts them together, in the order given. */
export async function policyOf(...texts: readonly string[]): Promise<Policy> {
  const files = Object.fromEntries(texts.map((text, index) => [`p${index}.yaml`, text]))
  return withFiles(files, async dir => {
    const { policy } = await loadPolicy(Object.keys(files).map(name => join(dir, name)))
    return compilePolicy(policy)
  })
}

/** A policy in which Ana may do everything on `prod`, but for these rules (YAML, a list). */
export function withRules(rules: string, more = ''): Promise<Policy> {
  return policyOf(`version: 1
roles: { owner: { may: [read, write, ddl, admin] }, writer: { may: [read, write] } }
people: [{ groups: [engineering], roles: { prod: owner, staging: owner } }]
rules:
${rules.replaceAll(/^/gm, '  ')}
${more}`)
}

/** One analyser for all tests; a text that takes long to read is none of theirs. */
const analyser: Analyser = createAnalyser()

export async function ready(): Promise<void> {
  await analyser.ready()
}

export function analyse(sql: string): Analysis {
  const analysis = analyser.analyse(Buffer.from(sql), EMPTY_SCOPE)
  assert(!(analysis instanceof Promise), sql)
  return analysis
}

export type Asking = Partial<Omit<Question, 'analysis'>> & {
  readonly target?: string
  readonly role?: string
}

/** What Ana asks on `prod` at noon, but for what is said otherwise. */
export function question(policy: Policy, sql: string, asking: Asking = {}): Question {
  const { target = 'prod', role, ...more } = asking
  const principal = more.principal ?? ANA
  const grant = more.grant ?? grantFor(policy, principal, target, role)
  assert(grant !== undefined, `no grant on ${target}`)
  return {
    principal,
    agent: undefined,
    at: NOON,
    environment: undefined,
    inTransaction: false,
    ...more,
    grant,
    analysis: analyse(sql),
  }
}

/** The outcome and the rule that decided, in one word: `deny no-where`. */
export function outcome(policy: Policy, sql: string, asking: Asking = {}): string {
  const verdict = policy.evaluate(question(policy, sql, asking))
  return `${verdict.outcome} ${verdict.rule}`
}
