import { type Approvals, type Bound, bindingOf, type Near, type Taker } from '../approval/index.ts'
import { asDbgateError, DbgateError } from '../errors.ts'
import type { HoldVerdict } from '../policy/index.ts'
import type { RecordedParameter } from '../record/index.ts'
import type { Statement } from '../sql/index.ts'
import type { Hold } from '../store/index.ts'
import { encodeNotice } from '../wire/index.ts'
import type { Recorder } from './recorder.ts'
import type { Standing } from './standing.ts'

/** A statement that needs somebody's word: what an approval would cover, and what approvers see. */
export type Wanted = {
  readonly verdict: HoldVerdict
  readonly bound: Omit<Bound, 'principal' | 'target' | 'role' | 'database'>
  readonly text: string
  readonly textBase64: string | undefined
  readonly parameters: readonly RecordedParameter[]
  readonly statements: readonly Statement[]
  readonly inTransaction: boolean
  readonly rowsEstimate: number | undefined
}

/** Run it, for which an approval was used up; or refuse it with this error. */
export type Answer =
  | { readonly outcome: 'run'; readonly taken: Hold }
  | { readonly outcome: 'refuse'; readonly error: DbgateError }

/** Why nobody waits on the line any more. */
export type LineEnd = 'cancelled' | 'gone' | 'leaving'

export type HoldingOptions = {
  readonly approvals: Approvals
  /** The version of the policy in force. */
  readonly policyId: () => string
  /** Hears what is held and decided, for the session's recording. */
  readonly recorder?: Pick<Recorder, 'held' | 'decided'> | undefined
  readonly session: string
  readonly database: string
  readonly standing: () => Standing
  /** Tells the person something between two messages. */
  readonly tell: (notice: Buffer) => void
}

/**
 * One session's waiting for approvals: an approval that is there is used, else the statement is filed and the
 * client waits for a while on the line. The approval outlives the wait.
 */
export class Holding {
  readonly #options: HoldingOptions
  #line: AbortController | null = null
  #lineEnd: LineEnd = 'gone'

  constructor(options: HoldingOptions) {
    this.#options = options
  }

  /** Ends the wait, if there is one. Returns whether there was. */
  hangUp(why: LineEnd): boolean {
    if (this.#line === null) return false
    this.#lineEnd = why
    this.#line.abort()
    return true
  }

  /** Takes a use back: the statement was certainly not forwarded. */
  giveBack(taken: Hold): void {
    this.#options.approvals.holds.giveBack(taken)
  }

  /** Notes for the approvers what became of it. */
  ran(
    taken: Hold,
    statement: string,
    ran: { outcome: string; tag: string | undefined; rows: number; durationMs: number },
  ): void {
    this.#options.approvals.holds.ran(taken, statement, ran)
  }

  /** Decides at once where an approval or a refusal stands already, else files it and waits. */
  ask(wanted: Wanted): Answer | Promise<Answer> {
    try {
      const bound = this.#bound(wanted)
      const standing = this.#standing(bound, wanted)
      return standing ?? this.#file(bound, wanted)
    } catch (cause) {
      return refuse(asDbgateError(cause))
    }
  }

  #bound({ bound }: Wanted): Bound {
    const { principal, grant } = this.#options.standing()
    const { target, role } = grant
    return { ...bound, principal, target, role, database: this.#options.database }
  }

  #taker({ verdict }: Wanted): Taker {
    return { session: this.#options.session, terms: verdict.approve }
  }

  /** What the store says of it already; undefined for what has to be filed or waited for. */
  #standing(bound: Bound, wanted: Wanted): Answer | undefined {
    const { holds } = this.#options.approvals
    const found = holds.take(bindingOf(bound), this.#taker(wanted))
    switch (found.outcome) {
      case 'taken':
        this.#options.recorder?.decided(found.hold, 'run', 'approved')
        return { outcome: 'run', taken: found.hold }
      case 'denied':
        this.#options.recorder?.decided(found.hold, 'refused', 'denied')
        return refuse(rejected(found.hold))
      case 'open':
        return found.hold.isLetGo
          ? refuse(stillWaiting(found.hold, this.#options.standing().now()))
          : undefined
      case 'none':
        return undefined
      default:
        return found satisfies never
    }
  }

  #file(bound: Bound, wanted: Wanted): Answer | Promise<Answer> {
    const { approvals, policyId, session } = this.#options
    const { principal, agent, application } = this.#options.standing()
    const { verdict, inTransaction } = wanted
    const isOnLine = verdict.holdMs > 0 && !(inTransaction && verdict.inTransaction === 'fail')
    const near = approvals.holds.nearest(bound)
    const { hold, isNew } = approvals.holds.file({
      bound,
      principal,
      agent,
      shown: {
        session,
        application,
        text: wanted.text,
        textBase64: wanted.textBase64,
        parameters: wanted.parameters,
        statements: wanted.statements,
        inTransaction,
        rowsEstimate: wanted.rowsEstimate,
      },
      rule: verdict.rule,
      reason: verdict.reason,
      terms: verdict.approve,
      policy: policyId(),
      notify: verdict.notify,
      isOnLine,
    })
    this.#options.recorder?.held(hold, isOnLine ? verdict.holdMs : 0)
    if (!isOnLine) {
      return refuse(inTransaction ? notInTransaction(hold) : notYet(hold, verdict, near))
    }
    return this.#wait(hold, bound, wanted, isNew ? near : undefined)
  }

  async #wait(hold: Hold, bound: Bound, wanted: Wanted, near: Near | undefined): Promise<Answer> {
    const { approvals, tell } = this.#options
    const { holdMs } = wanted.verdict
    tell(
      encodeNotice(
        `dbgate: held for approval as ${hold.id} (rule ${hold.rule}). Waiting up to ${seconds(holdMs)}.`,
        {
          detail: wanted.verdict.reason,
          hint: `Approver: dbgate approve ${hold.id}`,
        },
      ),
    )
    const line = new AbortController()
    this.#line = line
    try {
      const settled = await approvals.wait(hold.id, { timeoutMs: holdMs, signal: line.signal })
      if (line.signal.aborted) return this.#hungUp(hold, wanted)
      return this.#settled(hold, settled?.state, bound, wanted, near)
    } catch (cause) {
      return refuse(asDbgateError(cause))
    } finally {
      this.#line = null
    }
  }

  #settled(
    hold: Hold,
    state: string | undefined,
    bound: Bound,
    wanted: Wanted,
    near: Near | undefined,
  ): Answer {
    if (state === 'open') {
      this.#options.recorder?.decided(hold, 'refused', 'waited')
      this.#options.approvals.holds.letGo(hold.id)
      return refuse(notYet(hold, wanted.verdict, near))
    }
    if (state === 'approved' || state === 'used' || state === 'denied') {
      const now = this.#standing(bound, wanted)
      if (now?.outcome === 'run') {
        const by = now.taken.decided?.by ?? 'nobody'
        this.#options.tell(encodeNotice(`dbgate: ${hold.id} approved by ${by}, running.`))
      }
      return now ?? refuse(usedElsewhere(hold))
    }
    this.#options.recorder?.decided(hold, 'refused', state ?? 'expired')
    return refuse(over(hold, state ?? 'expired'))
  }

  #hungUp(hold: Hold, { verdict }: Wanted): Answer {
    const { holds } = this.#options.approvals
    this.#options.recorder?.decided(hold, 'refused', this.#lineEnd)
    if (this.#lineEnd === 'leaving') {
      holds.letGo(hold.id)
      return refuse(notYet(hold, verdict, undefined))
    }
    holds.abandon(hold.id, this.#lineEnd === 'gone' ? 'the client left' : 'cancelled by the client')
    return refuse(
      new DbgateError('HOLD_EXPIRED', `dbgate: ${hold.id} was cancelled while it waited. Not run.`),
    )
  }
}

function refuse(error: DbgateError): Answer {
  return { outcome: 'refuse', error }
}

function groupsOf({ terms }: Hold): string {
  return terms.by.map(group => `@${group}`).join(' or ')
}

function seconds(ms: number): string {
  return ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`
}

function notYet(hold: Hold, { approve }: HoldVerdict, near: Near | undefined): DbgateError {
  const more = { hint: `See what became of it: dbgate requests show ${hold.id}` }
  const where = near === undefined || near.hold.id === hold.id ? undefined : placeOf(near)
  const text =
    where === undefined
      ? `dbgate: held as ${hold.id} (rule ${hold.rule}), not run yet. A person in ${groupsOf(hold)} must approve it; then send exactly the same statement again within ${seconds(approve.expiresMs)}. Do not reword it.`
      : `dbgate: held as ${hold.id}, not run yet; this differs from ${near?.hold.state} ${near?.hold.id} ${where}, so that does not cover it.`
  return new DbgateError('HELD', text, more)
}

function placeOf({ difference }: Near): string {
  switch (difference.in) {
    case 'text':
      return `at character ${difference.position}`
    case 'parameter':
      return `in parameter ${difference.position}`
    case 'setting':
      return `in setting ${difference.name}`
    default:
      return `in its ${difference.in}`
  }
}

function notInTransaction(hold: Hold): DbgateError {
  return new DbgateError(
    'HELD',
    `dbgate: held as ${hold.id}; not waiting, because this transaction holds locks. It is now aborted: ROLLBACK, get approval, then run BEGIN..COMMIT again in one go.`,
    { hint: `Approver: dbgate approve ${hold.id}` },
  )
}

function stillWaiting(hold: Hold, now: number): DbgateError {
  return new DbgateError(
    'HELD',
    `dbgate: ${hold.id} is still waiting (${seconds(Math.max(0, now - hold.filedAt))}). Nothing new was filed. Try again after approval.`,
    { hint: `See what became of it: dbgate requests show ${hold.id}` },
  )
}

function rejected(hold: Hold): DbgateError {
  const why = hold.decided?.why ?? hold.finished?.why
  const said = why === undefined ? '' : `: "${why}"`
  return new DbgateError(
    'REJECTED',
    `dbgate: ${hold.id} denied by ${hold.decided?.by ?? hold.finished?.by ?? 'policy'}${said}. Not run; do not send it again.`,
  )
}

function usedElsewhere(hold: Hold): DbgateError {
  return new DbgateError(
    'HELD',
    `dbgate: the approval of ${hold.id} was used by another connection, once. Not run here. Send the statement again to ask anew.`,
  )
}

function over(hold: Hold, state: string): DbgateError {
  return new DbgateError(
    'HOLD_EXPIRED',
    `dbgate: ${hold.id} was ${state} before anybody approved it. Not run.`,
  )
}
