import { string as arg } from '@oclif/core/args'
import { boolean, string } from '@oclif/core/flags'
import { DbgateError } from '../src/errors.ts'
import { visible } from '../src/terminal.ts'
import { ask } from './ask.ts'
import { BaseCommand } from './base.ts'
import {
  findWaiting,
  indented,
  planLines,
  refuseAgent,
  sayDecision,
  waitUntilRan,
} from './deciding.ts'
import type { Io } from './io.ts'
import { usage } from './report.ts'
import { cardLines, cardOf } from './request-card.ts'
import { openSignedIn } from './signed-in.ts'
import { signInAfresh } from './step-up.ts'

export default class Approve extends BaseCommand {
  static override summary = 'let what waits for you happen, once'
  static override description =
    'On a terminal it shows all of what would run and asks. Elsewhere --yes is the answer, and the statement is printed whole.\nAn agent cannot approve for a person, and nobody approves their own.'
  static override examples = ['dbgate approve', 'dbgate approve h-7f3k']
  static override args = { id: arg({ description: 'the whole id; the only one if left out' }) }
  static override flags = {
    reason: string({ description: 'a comment for whoever asked', helpValue: 'TEXT' }),
    explain: boolean({ description: 'show what the database would do first (EXPLAIN)' }),
    yes: boolean({ char: 'y', description: 'do not ask' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Approve)
    const { io, terminal } = this
    await refuseAgent(io, args.id)
    const isAsked = !flags.yes && this.mayAsk(flags)
    if (!isAsked && !flags.yes) throw usage('nobody is there to ask; --yes approves', 'approve')
    const { api } = await openSignedIn(io, flags.server)
    const request = await findWaiting(api, args.id, 'approve')
    const card = cardOf(request, terminal, io.now())
    const planOf = () => planLines(api, request.id)
    const plan = flags.explain && !(isAsked && this.mayDraw(flags)) ? await planOf() : undefined
    const said = [...cardLines(card), ...(plan === undefined ? [] : ['', ...indented(plan)])]
    let vote: 'approve' | 'deny' = 'approve'
    let comment = flags.reason
    if (isAsked && !this.mayDraw(flags)) {
      for (const line of said) terminal.out(line)
      const word = request.statement?.irreversible?.word
      if (!(await isApprovedInWords(io, request.id, word))) {
        terminal.say(`${visible(request.id)} is as it was`)
        return
      }
    } else if (isAsked) {
      const { showApprove } = await import('../src/ui/index.ts')
      const choice = await showApprove({
        card: {
          ...card,
          id: request.id,
          word: request.statement?.irreversible?.word,
          hasPlan: request.statement !== undefined,
        },
        marks: terminal.marks,
        isColour: terminal.paint.red('x') !== 'x',
        stdin: io.stdin,
        stderr: io.stderr,
        now: io.now,
        plan: planOf,
      })
      if (choice.what === 'later') {
        terminal.say(`${visible(request.id)} is as it was`)
        return
      }
      vote = choice.what
      comment = choice.comment ?? comment
    } else if (!flags.json) {
      for (const line of said) terminal.out(line)
    }
    const decide = (by: typeof api) => by.decide(request.id, vote, comment)
    const decision = await decide(api).catch(async cause => {
      const isMissing = cause instanceof DbgateError && cause.code === 'PRESENCE'
      if (!isMissing || !this.mayAsk(flags)) throw cause
      return decide(await signInAfresh(io, terminal, flags.server))
    })
    const ran = await waitUntilRan(api, decision)
    this.result(
      flags.json,
      { ...decision.raw, request: ran.raw, ...(plan === undefined ? {} : { plan }) },
      () => sayDecision(terminal, decision, ran, io.now()),
    )
  }
}

/** Asks on a line where no screen can be drawn. What cannot be undone takes its word or the id, else `yes`. */
async function isApprovedInWords(io: Io, id: string, word: string | undefined): Promise<boolean> {
  const wanted = word === undefined ? ['yes'] : [word, id]
  const said = await ask(io, `Type ${wanted.map(each => visible(each)).join(' or ')} to approve:`)
  return wanted.includes(said)
}
