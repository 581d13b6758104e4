import { readFile } from 'node:fs/promises'
import { text as readAll } from 'node:stream/consumers'
import { string as arg } from '@oclif/core/args'
import { boolean, string } from '@oclif/core/flags'
import { DbgateError, exitCodeOf } from '../src/errors.ts'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { usage } from './report.ts'
import { findTarget, openSignedIn, parseTarget } from './signed-in.ts'
import { type Format, resultPrinter } from './sql-output.ts'

export default class Sql extends BaseCommand {
  static override summary = 'run SQL on a target and print what it answers'
  static override description =
    'A small client for jobs and agents without psql: it opens a tunnel, runs what it is given as one simple query, and closes. A table on a terminal, CSV in a pipe. Values are text as PostgreSQL writes it.\n^C cancels it in the database.\nExit codes: 0 it ran; 5 denied; 8 waiting for a person; 130 cancelled; 1 any other SQL error.'
  static override examples = [
    'dbgate sql prod "select count(*) from orders"',
    'dbgate sql prod -f report.sql --csv > report.csv',
    'echo "select now()" | dbgate sql prod --json',
  ]
  static override usage = 'sql TARGET [SQL] [flags]'
  static override args = {
    target: arg({ description: 'a name from dbgate ls, or name@server', required: true }),
    sql: arg({ description: 'the SQL; from stdin if it is left out and there is no -f' }),
  }
  static override flags = {
    file: string({ char: 'f', description: 'read the SQL from a file', helpValue: 'FILE' }),
    csv: boolean({ description: 'CSV, with a line of column names', exclusive: ['json'] }),
    role: string({ description: 'the role to use instead of the strongest', helpValue: 'NAME' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Sql)
    const { io, terminal } = this
    const sql = await this.#text(args.sql, flags.file)
    const { target: name, server } = parseTarget(args.target)
    const signedIn = await openSignedIn(io, server ?? flags.server)
    const target = await findTarget(signedIn, name)
    const { detectAgent, openQuery, StatementFailed } = await import('../src/tunnel/index.ts')
    const format: Format = flags.json ? 'json' : flags.csv || !terminal.isOutTTY ? 'csv' : 'table'
    const printer = resultPrinter(format, terminal, io.stdout)
    const interrupt = new AbortController()
    // The first ^C asks PostgreSQL to stop; a second one does what it always does.
    const onInterrupt = (): void => interrupt.abort()
    io.signals.once('SIGINT', onInterrupt)
    try {
      await openQuery({
        route: {
          server: signedIn.server,
          target: name,
          role: flags.role,
          agent: detectAgent('dbgate', io.env),
        },
        token: async () => (await signedIn.signIn.current()).token,
        now: io.now,
        user: target.user,
        database: target.database,
        application: 'dbgate sql',
        sql,
        sink: printer.sink,
        signal: interrupt.signal,
      })
      printer.finish()
    } catch (error) {
      printer.abandon()
      if (!(error instanceof StatementFailed)) throw error
      const exit = interrupt.signal.aborted ? INTERRUPTED : undefined
      this.finish(this.#failed(error.fields, flags.json, exit))
    } finally {
      io.signals.off('SIGINT', onInterrupt)
    }
  }

  async #text(given: string | undefined, file: string | undefined): Promise<string> {
    if (given !== undefined && file !== undefined) throw usage('SQL is given twice', 'sql')
    const sql = given ?? (await this.#read(file))
    if (sql.includes('\0')) throw usage('SQL cannot contain a NUL byte', 'sql')
    if (sql.trim() === '') throw usage('there is no SQL to run', 'sql')
    return sql
  }

  async #read(file: string | undefined): Promise<string> {
    const { stdin } = this.io
    if (file === undefined) {
      if (stdin.isTTY === true) throw usage('there is no SQL to run', 'sql')
      return readAll(stdin)
    }
    return readFile(file, 'utf8').catch(cause => {
      throw new DbgateError('USAGE', `cannot read ${file}`, { cause })
    })
  }

  /** Says what the database or the gate said and returns the exit code that goes with it. */
  #failed(fields: ReadonlyMap<string, string>, isJson: boolean, given?: number): number {
    const { terminal } = this
    const [message = '', detail, hint] = ['M', 'D', 'H'].map(code => fields.get(code))
    const sqlstate = fields.get('C') ?? 'XX000'
    const exit = given ?? exitOf(sqlstate, fields.get('R'))
    const position = fields.get('P')
    if (isJson) {
      const error = {
        code: codeOf(fields.get('R')),
        message,
        sqlstate,
        detail,
        hint,
        position,
        exit,
      }
      terminal.out(
        JSON.stringify({ v: 1, ok: false, error: { ...error, next: [], retryable: false } }),
      )
      return exit
    }
    const { marks, paint } = terminal
    const at = position === undefined ? '' : ` (at character ${position})`
    terminal.say(`${paint.red(marks.no)} ${visible(message + at)}`)
    if (detail !== undefined) terminal.say(`  ${visible(detail)}`)
    if (hint !== undefined) terminal.say(`  ${marks.next} ${visible(hint)}`)
    terminal.say(paint.dim(`  ${visible(sqlstate)} ${marks.dot} exit ${exit}`))
    return exit
  }
}

const INTERRUPTED = 130
const OWN = 'dbgate:'

function codeOf(routine: string | undefined): string {
  return routine?.startsWith(OWN) ? routine.slice(OWN.length).toLowerCase() : 'sql_error'
}

/** The gate's own errors carry their code; of the database's, denied and unreachable are told apart. */
function exitOf(sqlstate: string, routine: string | undefined): number {
  const own = routine?.startsWith(OWN) ? exitCodeOf(routine.slice(OWN.length)) : undefined
  if (own !== undefined) return own
  if (sqlstate === '42501') return 5
  return sqlstate.startsWith('08') || sqlstate.startsWith('57P') ? 7 : 1
}
