import { DbgateError } from '../errors.ts'
import type { Principal } from '../identity/index.ts'
import type { HeldStatement, Hold, Ran, Terms } from '../store/index.ts'
import { type Bound, bindingOf, parameterDigest } from './binding.ts'
import { type Draft, isFull, type Ledger } from './ledger.ts'
import { isDue } from './life.ts'
import { missing, personOf } from './people.ts'
import { tooMany } from './refusals.ts'
import { rejudge } from './rejudge.ts'
import { type Near, nearest } from './similar.ts'

/** A statement that needs approval: what would run, and what approvers are shown beside it. */
export type Filing = {
  readonly bound: Bound
  readonly principal: Principal
  /** The session, the tool, and the text and values as the audit log has them. */
  readonly shown: Omit<HeldStatement, 'parameterDigests' | 'scope' | 'database'>
  readonly agent: string
  readonly rule: string
  readonly reason: string | undefined
  readonly terms: Terms
  /** The version of the policy that said so. */
  readonly policy: string
  readonly notify: readonly string[]
  /** The client waits for the decision: `letGo` or `abandon` says when it no longer does. */
  readonly isOnLine: boolean
}

/** Who takes an approval, for what, and what it takes under the policy in force. */
export type Taker = {
  readonly session: string
  readonly terms: Terms
  readonly statement?: string
}

/**
 * What stands in the store for a binding. `taken`: it was approved, and is used from now on: run it, or give it
 * back. `denied`: somebody has said no, and that stays so until the hold would have expired.
 */
export type Taken =
  | { readonly outcome: 'taken' | 'open' | 'denied'; readonly hold: Hold }
  | { readonly outcome: 'none' }

/** Text and values together. More than that nobody reads before they approve it. */
const MAX_SHOWN_CHARS = 256 * 1024
/** How many of the newest are looked at for one that is alike. */
const MAX_ALIKE = 10

/** Held statements from the first sending to the one run. Every call is synchronous and short. */
export class Holds {
  readonly #ledger: Ledger

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /**
   * Uses the approval of this binding up, if there is one: exactly one caller gets it, whatever process it is in.
   * An approval that is not enough under the terms now in force ends, and nothing is taken.
   *
   * Throws: NO_STORE (58030): nothing is taken.
   */
  take(binding: string, taker: Taker): Taken {
    const holds = this.#ledger.store.holdsOf(binding)
    if (holds.length === 0) return { outcome: 'none' }
    const now = this.#ledger.now()
    const isQuiet = holds.every(hold => hold.state !== 'approved' && !isDue(hold, now))
    if (isQuiet) return standing(holds, now)
    return this.#ledger.write(draft => takeIn(draft, binding, taker))
  }

  /**
   * Takes a use back: the statement was certainly not forwarded. The approval is as good as before, and no longer.
   *
   * Throws: NO_STORE: the approval stays used.
   *
   * @param taken as `take` gave it
   */
  giveBack(taken: Hold): Hold {
    return this.#ledger.write(draft => {
      const hold = holdIn(draft, taken.id)
      if (hold.state !== 'used' || hold.uses !== taken.uses || hold.use?.ran !== undefined) {
        throw new TypeError(`${taken.id} was not taken for this statement`)
      }
      const next = draft.step(hold, 'giveBack')
      draft.tell({ what: 'returned', request: next })
      return draft.settle(draft.put({ ...next, use: undefined }))
    })
  }

  /** Notes what became of a statement that ran, for those who approved it. `statement` is its id in the audit log. */
  ran(taken: Hold, statement: string, ran: Ran): void {
    this.#ledger.write(draft => {
      const hold = holdIn(draft, taken.id)
      if (hold.uses !== taken.uses || hold.use === undefined) return
      const next = draft.put({ ...hold, use: { ...hold.use, statement, ran } })
      draft.tell({ what: 'ran', request: next })
    })
  }

  /**
   * Files a statement for approval, or returns the open hold that the same statement has already (or, if it was
   * approved in this moment, the approved one: take it). Only a new one is told to people.
   *
   * Throws: LIMIT (54000) too long to be read, or too many wait already; UNAUDITED, NO_STORE (58030).
   */
  file(filing: Filing): { readonly hold: Hold; readonly isNew: boolean } {
    refuseUnreadable(filing.shown)
    const binding = bindingOf(filing.bound)
    return this.#ledger.write(draft => {
      const alive = aliveIn(draft, binding)
      const approved = alive.find(({ state }) => state === 'approved')
      const open = alive.find(({ state }) => state === 'open')
      if (approved !== undefined) return { hold: approved, isNew: false }
      if (open !== undefined) return { hold: fileAgain(draft, open, filing), isNew: false }
      return { hold: fileNew(draft, binding, filing), isNew: true }
    })
  }

  /** The client no longer waits on its line: it was told to send the statement again. The hold lives on. */
  letGo(id: string): Hold {
    return this.#ledger.write(draft => {
      const hold = holdIn(draft, id)
      return draft.put({ ...hold, line: Math.max(0, hold.line - 1), isLetGo: true })
    })
  }

  /**
   * The client is gone, or has cancelled. The hold is abandoned with it, unless another client waits for the same
   * or one was told to come back.
   */
  abandon(id: string, why: string): Hold {
    return this.#ledger.write(draft => {
      const hold = holdIn(draft, id)
      const left = draft.put({ ...hold, line: Math.max(0, hold.line - 1) })
      const isOver = left.state === 'open' && left.line === 0 && !left.isLetGo
      return isOver ? draft.step(left, 'abandon', { why }) : left
    })
  }

  /**
   * Puts things in order when the server starts: clients that waited on the line are gone. To be called before
   * anything else, and by one process only.
   */
  expireAtStart(): readonly Hold[] {
    const open = this.#ledger.store.list({ states: ['open'], kind: 'statement', limit: -1 })
    return this.#ledger.write(draft =>
      open.flatMap(({ id }) => {
        const hold = holdIn(draft, id)
        if (hold.state !== 'open') return [hold]
        if (hold.line === 0) return []
        const left = draft.put({ ...hold, line: 0 })
        if (left.isLetGo) return []
        return [draft.step(left, 'expire', { why: 'the server was started again' })]
      }),
    )
  }

  /**
   * The principal's open or approved statement on the same target that is most like this one, and where the two
   * differ: for those who send an approved one again, changed a little.
   */
  nearest(bound: Bound): Near | undefined {
    const { issuer, subject } = bound.principal
    const { store } = this.#ledger
    const alive = store.list({
      ...{ states: ['open', 'approved'], kind: 'statement', target: bound.target },
      requester: { issuer, subject },
      limit: MAX_ALIKE,
    })
    return nearest(
      bound,
      alive.filter(isHold).filter(hold => !isDue(hold, this.#ledger.now())),
    )
  }
}

function refuseUnreadable({ text, parameters }: Filing['shown']): void {
  const chars = text.length + JSON.stringify(parameters).length
  if (chars <= MAX_SHOWN_CHARS) return
  throw new DbgateError(
    'LIMIT',
    `dbgate: not held, nobody would read a statement of ${chars} characters before approving it. Not run. Next: send it in parts of less than ${MAX_SHOWN_CHARS} characters.`,
  )
}

function takeIn(draft: Draft, binding: string, taker: Taker): Taken {
  const holds = draft.store.holdsOf(binding).map(hold => draft.settle(hold))
  const approved = holds.find(({ state }) => state === 'approved')
  if (approved === undefined) return standing(holds, draft.now)
  // From the end, which is moved when the clock is set back; the time of the decision is not.
  const approvedAt = approved.expiresAt - approved.terms.expiresMs
  const lives = approvedAt + taker.terms.expiresMs > draft.now
  if (!lives || missing(approved, taker.terms).length > 0) {
    draft.step(approved, 'expire', { why: 'the policy now asks for more than was approved' })
    return standing(
      holds.filter(hold => hold !== approved),
      draft.now,
    )
  }
  const number = approved.uses + 1
  const { session, statement } = taker
  const use = { number, session, statement, at: draft.now, ran: undefined }
  const hold = draft.put({ ...draft.step(approved, 'use'), uses: number, use })
  draft.tell({ what: 'used', request: hold })
  return { outcome: 'taken', hold }
}

/** What holds that can't be taken say. A person's no stands for as long as the hold would have. */
function standing(holds: readonly Hold[], now: number): Taken {
  const open = holds.find(({ state }) => state === 'open')
  if (open !== undefined) return { outcome: 'open', hold: open }
  const denied = holds.find(
    ({ state, expiresAt, decided }) =>
      state === 'denied' && expiresAt > now && decided?.by !== undefined,
  )
  return denied === undefined ? { outcome: 'none' } : { outcome: 'denied', hold: denied }
}

function aliveIn(draft: Draft, binding: string): readonly Hold[] {
  const holds = draft.store.holdsOf(binding).map(hold => draft.settle(hold))
  return holds.filter(({ state }) => state === 'open' || state === 'approved')
}

/** The terms are those of the latest sending: the policy may have changed since the first. */
function fileAgain(draft: Draft, open: Hold, filing: Filing): Hold {
  const hold = filing.isOnLine ? draft.put({ ...open, line: open.line + 1 }) : open
  return rejudge(draft, hold, filing)
}

function fileNew(draft: Draft, binding: string, filing: Filing): Hold {
  const { bound, principal, shown, agent, rule, reason, terms, policy, notify } = filing
  if (isFull(draft, principal)) throw tooMany(principal.user)
  const hold = draft.insert<Hold>({
    kind: 'statement',
    state: 'open',
    id: draft.newId('h'),
    requester: personOf(principal),
    groups: principal.groups,
    ...{ agent, rule, reason, terms, policy, notify, binding },
    target: bound.target,
    role: bound.role,
    votes: [],
    filedAt: draft.now,
    expiresAt: draft.now + terms.expiresMs,
    decided: undefined,
    finished: undefined,
    statement: {
      ...shown,
      database: bound.database,
      parameterDigests: bound.parameters.map(parameterDigest),
      scope: bound.scope,
    },
    line: filing.isOnLine ? 1 : 0,
    isLetGo: false,
    uses: 0,
    use: undefined,
  })
  draft.tell({ what: 'filed', request: hold })
  return hold
}

function holdIn(draft: Draft, id: string): Hold {
  const request = draft.find(id)
  if (request?.kind !== 'statement') throw new TypeError(`no hold ${id}`)
  return request
}

function isHold(request: { readonly kind: string }): request is Hold {
  return request.kind === 'statement'
}
