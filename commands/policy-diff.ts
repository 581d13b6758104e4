import { glob, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { string as arg } from '@oclif/core/args'
import { string } from '@oclif/core/flags'
import { openLocalPolicy } from '../src/api/index.ts'
import type { PolicyDocument, PolicyTest } from '../src/config/index.ts'
import { DbgateError, systemCode } from '../src/errors.ts'
import type { PolicyChange, TestResult } from '../src/policy/index.ts'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'

const DIFFERS = 13

export default class PolicyDiff extends BaseCommand {
  static override summary = 'what two policies say differently, and what becomes of their tests'
  static override description =
    'Roles, people, access, rules, masks and limits by name, from old to new. Order, files and comments mean nothing.\nAll statements that stand under `tests:` of either are judged by both. It needs no server and no sign-in.\nExit codes: 0 they say the same; 13 they differ; 3 one of them does not validate.'
  static override usage = 'policy diff OLD NEW [flags]'
  static override examples = [
    'dbgate policy diff policy/main.yaml /tmp/main.yaml',
    'dbgate policy diff main-branch/policy policy --json',
  ]
  static override args = {
    old: arg({ description: 'a policy file, or a folder of them', required: true }),
    new: arg({ description: 'what it is held against, likewise', required: true }),
  }
  static override flags = {
    config: string({
      description: 'the server file, for the environments of its targets in tests',
      env: 'DBGATE_CONFIG',
      helpValue: 'FILE',
    }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(PolicyDiff)
    const { loadPolicy } = await import('../src/config/index.ts')
    const { diffPolicies, questionsOf } = await import('../src/policy/index.ts')
    const [old, next] = [
      await loadPolicy(await filesIn(args.old)),
      await loadPolicy(await filesIn(args.new)),
    ]
    const changes = diffPolicies(old.policy, next.policy)
    const tests = questionsOf(old.policy, next.policy)
    const environments = await this.#environments(flags.config)
    const [was, is] = [
      await outcomes(old.policy, tests, environments),
      await outcomes(next.policy, tests, environments),
    ]
    const outcomesChanged = was.flatMap((from, index) => changed(from, is[index]) ?? [])
    const data = {
      same: changes.length === 0 && outcomesChanged.length === 0,
      old: old.policyDigest,
      new: next.policyDigest,
      changes: changes.map(each => ({ ...each, old: each.old ?? null, new: each.new ?? null })),
      tests: tests.length,
      outcomes: outcomesChanged,
    }
    this.result(flags.json, data, () => this.#print(changes, outcomesChanged, tests.length))
    if (!data.same) this.finish(DIFFERS)
  }

  async #environments(config: string | undefined): Promise<Environments> {
    if (config === undefined) return new Map()
    const { loadServerConfig } = await import('../src/config/index.ts')
    const { targets } = (await loadServerConfig(config, this.io.env)).config
    return new Map(targets.map(({ name, environment }) => [name, environment]))
  }

  #print(changes: readonly PolicyChange[], outcomes: readonly Outcome[], tests: number): void {
    const { terminal } = this
    const { marks, paintOut } = terminal
    let title = ''
    for (const { about, name, field, old, new: next } of changes) {
      if (`${about} ${name}` !== title) terminal.out(visible(`${about} ${name}`))
      title = `${about} ${name}`
      if (old !== undefined) terminal.out(paintOut.red(visible(`  - ${field}: ${old}`)))
      if (next !== undefined) terminal.out(paintOut.green(visible(`  + ${field}: ${next}`)))
    }
    for (const { who, sql, old, new: next } of outcomes) {
      terminal.out(visible(`test ${who}`))
      terminal.out(`    ${visible(sql)}`)
      terminal.out(paintOut.red(visible(`  - ${old}`)))
      terminal.out(paintOut.green(visible(`  + ${next}`)))
    }
    const of = `of ${count(tests, 'statement')} in tests`
    if (changes.length === 0 && outcomes.length === 0) {
      terminal.out(`${paintOut.green(marks.ok)} they say the same; ${of} all come out as before`)
    } else {
      const differing = `${outcomes.length} come${outcomes.length === 1 ? 's' : ''} out otherwise`
      terminal.out(`${marks.note} ${count(changes.length, 'difference')}; ${of} ${differing}`)
    }
  }
}

type Environments = ReadonlyMap<string, string | undefined>

type Outcome = {
  readonly who: string
  readonly sql: string
  readonly old: string
  readonly new: string
}

/** What a policy makes of statements that need not be its own. */
async function outcomes(
  document: PolicyDocument,
  tests: readonly PolicyTest[],
  environments: Environments,
): Promise<readonly TestResult[]> {
  const policy = await openLocalPolicy({ ...document, tests })
  try {
    return await policy.runTests(target => environments.get(target))
  } finally {
    await policy.close()
  }
}

function changed(from: TestResult, to: TestResult | undefined): Outcome | undefined {
  const [old, next] = [words(from), to === undefined ? '' : words(to)]
  return old === next ? undefined : { who: from.who, sql: from.sql, old, new: next }
}

function words({ got: { gives, rules } }: TestResult): string {
  return rules.length === 0 ? gives : `${gives} by ${[...rules].sort().join(', ')}`
}

/** The file, or the policy files of a folder. */
async function filesIn(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch(cause => {
    if (systemCode(cause) === 'ENOENT') return undefined
    throw new DbgateError('USAGE', `cannot read ${path} (${systemCode(cause)})`, { cause })
  })
  // What is not there is said by whoever reads it.
  if (found?.isDirectory() !== true) return [path]
  const files: string[] = []
  for await (const file of glob('*.{yaml,yml}', { cwd: path })) files.push(join(path, file))
  if (files.length === 0) throw new DbgateError('USAGE', `there are no policy files in ${path}`)
  return files.sort()
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
