/** The demo told by itself: every step runs the real command, and holds it to what it should show. */
import { spawn } from 'node:child_process'
import { access, constants, mkdir } from 'node:fs/promises'
import { delimiter, join, relative } from 'node:path'
import { visible } from '../terminal.ts'
import { browse } from './browser.ts'

/** What the story needs of the demo that runs. */
export type Stage = {
  readonly directory: string
  readonly policyPath: string
  readonly server: { readonly url: string; readonly pin: string }
  readonly command: readonly [string, ...string[]]
  readonly env: NodeJS.ProcessEnv
  readonly print: (line: string) => void
}

type Ended = { readonly code: number | null; readonly output: string }

type Step = {
  readonly title: string
  readonly who: string
  readonly args: readonly string[]
  readonly exit: number
  /** All of these must stand in what the command printed. */
  readonly shows: readonly RegExp[]
  /** Once the command has printed this, it gets what ^C would send. */
  readonly interruptAt?: RegExp
}

const STEP_TIMEOUT_MS = 60_000

/** Stands for the request that was held last. */
const HELD = '{held}'
const DELETE = ['sql', 'demo', 'delete from payments where id = 7']

function steps(stage: Stage): readonly Step[] {
  const { url, pin } = stage.server
  const login = ['login', url, '--fingerprint', pin, '--no-browser']
  const sql = (text: string) => ['sql', 'demo', text]
  const step = (
    who: string,
    title: string,
    args: readonly string[],
    exit: number,
    ...shows: readonly RegExp[]
  ): Step => ({ who, title, args, exit, shows })
  return [
    step('ana', 'Ana, a developer, signs in with her browser', login, 0, /Ana Ruiz/, /demo/),
    step('ana', 'She sees what is open to her', ['ls'], 0, /demo\s+writer/),
    step(
      'ana',
      'She reads',
      sql('select name, city from customers order by id limit 3'),
      0,
      /Liam Farkas.*Berlin/,
      /Bruno Costa.*Lyon/,
    ),
    step(
      'ana',
      'What is confidential she sees masked',
      sql('select email, phone, ssn from customers order by id limit 2'),
      0,
      /dgt_[a-z2-7]{20},•+\d{0,4},••••/,
    ),
    step(
      'ana',
      'Not even one by one, by asking for it',
      sql("select id from customers where ssn like '9%'"),
      5,
      /customers\.ssn is confidential/,
    ),
    step(
      'ana',
      'She asks why',
      ['policy', 'explain', '--on', 'demo', '--sql', 'select name, email from customers'],
      0,
      /public\.customers\.email.*pii:email/,
    ),
    step('ana', 'She writes', sql("update orders set status = 'shipped' where id = 1"), 0),
    step(
      'ana',
      'She may not drop a table',
      sql('drop table orders'),
      5,
      /dbgate: denied/,
      /Not run|did not run|nothing ran/i,
    ),
    step(
      'ana',
      'Not inside something else either',
      sql(
        'with gone as (delete from payments returning id) select count(*) from gone; drop table payments',
      ),
      5,
      /dbgate: denied/,
    ),
    step('ana', 'Everything is still there', sql('select count(*) from payments'), 0, /2000/),
    step('ana', 'What deletes waits for somebody else', DELETE, 8, /held as h-/, /@dba/),
    {
      ...step(
        'ana',
        'She stops a query that takes too long',
        sql('select id, status, pg_sleep(0.01) from orders'),
        130,
        /57014/,
      ),
      interruptAt: /^\d+,\w+,/m,
    },
    step('ana', 'She may see her own records', ['audit', 'search', 'drop'], 0, /drop table orders/),
    step('ana', 'but not check the whole log', ['audit', 'verify'], 5),
    step('ben', 'Ben, a database administrator, signs in', login, 0, /Ben Okafor/),
    step(
      'ben',
      'He looks at what Ana wants',
      ['requests', 'show', HELD],
      0,
      /delete from payments/,
    ),
    step('ben', 'and lets it through', ['approve', HELD, '--yes'], 0, /approved/),
    step('ana', 'She sends it again, and it runs', DELETE, 0, /DELETE 1/),
    step('ana', 'once', DELETE, 8, /held as h-/),
    step(
      'ben',
      'He may change the schema',
      sql('create table notes (id int, note text); drop table notes'),
      0,
    ),
    step(
      'ben',
      'He sees who ran what',
      ['audit', 'search', 'user:ana'],
      0,
      /drop table orders/,
      /update orders/,
    ),
    step('ben', 'and that no record was changed', ['audit', 'verify'], 0, /chain unbroken/),
    step(
      'ben',
      'He sees what is masked for others',
      sql('select email from customers order by id limit 1'),
      0,
      /^[^,\s]+@[^,\s]+$/m,
    ),
    step('lee', 'Lee, in support, signs in', login, 0, /Lee Tran/),
    step('lee', 'He may read', sql('select count(*) from customers'), 0, /800/),
    step('lee', 'but not write', sql('delete from customers'), 5, /dbgate: denied/),
  ]
}

/** Runs every step; returns whether all showed what they should. Stops at the first that did not. */
export async function tellStory(stage: Stage, signal: AbortSignal): Promise<boolean> {
  const script = steps(stage)
  let held = HELD
  for (const [index, written] of script.entries()) {
    if (signal.aborted) return false
    const step = { ...written, args: written.args.map(each => (each === HELD ? held : each)) }
    stage.print('')
    stage.print(`${index + 1}/${script.length} ${step.title}`)
    stage.print(`  $ dbgate ${step.args.map(shown).join(' ')}`)
    const ended = await perform(stage, step)
    const problem = problemWith(step, ended)
    held = /held as (h-\w+)/.exec(ended.output)?.[1] ?? held
    const lines = ended.output.trim().split('\n')
    for (const line of shortened(lines)) {
      stage.print(`    ${visible(line)}`)
    }
    if (problem !== undefined) {
      stage.print(`✗ ${problem}`)
      return false
    }
  }
  stage.print('')
  stage.print(`✓ all ${script.length} steps showed what they should`)
  return true
}

function shown(argument: string): string {
  return /^[\w:/.-]+$/.test(argument) ? argument : `"${argument}"`
}

const MAX_LINES = 12

function shortened(lines: readonly string[]): readonly string[] {
  if (lines.length <= MAX_LINES) return lines
  // The end matters as much as the beginning: that is where errors stand.
  const half = MAX_LINES / 2
  const left = lines.length - MAX_LINES
  return [...lines.slice(0, half), `… ${left} more lines`, ...lines.slice(-half)]
}

function problemWith(step: Step, { code, output }: Ended): string | undefined {
  if (code !== step.exit) return `ended with ${code ?? 'a signal'} instead of ${step.exit}`
  const missing = step.shows.find(pattern => !pattern.test(output))
  return missing === undefined ? undefined : `did not show ${missing}`
}

/** Runs one command as one person: each has a home of their own, and nobody the system's keychain. */
async function perform(stage: Stage, step: Step): Promise<Ended> {
  const home = join(stage.directory, 'homes', step.who)
  await mkdir(home, { recursive: true, mode: 0o700 })
  const [command, ...first] = stage.command
  const child = spawn(command, [...first, ...step.args], {
    env: environment(stage.env, home),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: STEP_TIMEOUT_MS,
  })
  let output = ''
  let hasVisited = false
  let hasInterrupted = false
  const hear = (chunk: Buffer): void => {
    output += chunk.toString('utf8')
    if (!hasInterrupted && step.interruptAt?.test(output)) {
      hasInterrupted = true
      child.kill('SIGINT')
    }
    const link = /https?:\/\/127\.0\.0\.1:\d+\/auth\?\S+(?=\s)/.exec(output)?.[0]
    if (link === undefined || hasVisited) return
    hasVisited = true
    browse(link, step.who).catch(thrown => {
      output += `\nthe browser failed: ${thrown}`
      child.kill()
    })
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { code, output: output.replaceAll(/code_challenge=\S+/g, '…') }
}

const KEPT = /^(PATH|HOME|TMPDIR|TEMP|TMP|SystemRoot|LANG|LC_\w+)$/

function environment(env: NodeJS.ProcessEnv, home: string): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => KEPT.test(name))
  return { ...Object.fromEntries(kept), HOME: home, USERPROFILE: home, NO_COLOR: '1' }
}

/** What to type in a second terminal, as lines. */
export async function invitation(stage: Stage, shownCommand: string): Promise<readonly string[]> {
  const dbgate = await typed(stage, shownCommand)
  return [
    '',
    '  in another terminal:',
    `  1  ${dbgate} login ${stage.server.url} \\`,
    `       --fingerprint sha256:${stage.server.pin}`,
    '                                              pick Ana, a developer',
    `  2  ${dbgate} connect demo -- psql            or any other tool: connect prints the URL`,
    '       select name, email from customers limit 3;   goes through, the address masked',
    '       drop table orders;                           denied: Ana may not change the schema',
    '       delete from payments where id = 7;           held: somebody else has to agree',
    `  3  ${dbgate} audit search                    who ran what`,
    '',
    `  no psql?  ${dbgate} sql demo "select * from order_totals limit 3"`,
    `  as Ben, who may:  ${dbgate} login ${stage.server.url} --new`,
    `                    ${dbgate} approve           what waits for him`,
    '',
    `  who may do what: ${stage.policyPath}   (change it; it is read again at once)`,
    '  ^C to stop',
  ]
}

/** `dbgate` where that is on PATH; else the way to it from here, as in a fresh clone. */
async function typed(stage: Stage, shownCommand: string): Promise<string> {
  for (const folder of (stage.env.PATH ?? '').split(delimiter)) {
    const isThere = access(join(folder, shownCommand), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (folder !== '' && (await isThere)) return shownCommand
  }
  const script = stage.command.at(-1) ?? shownCommand
  const way = relative(process.cwd(), script)
  return way.startsWith('..') ? script : `./${way}`
}
