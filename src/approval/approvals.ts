import type { Principal } from '../identity/index.ts'
import type { ApprovalRequest } from '../store/index.ts'
import { Access } from './access.ts'
import { type Ballot, type Decision, decide, type PolicyNow, type Voter } from './decide.ts'
import type { ApprovalEvent } from './events.ts'
import { Holds } from './holds.ts'
import { type ApprovalOptions, Ledger } from './ledger.ts'
import { isRequester, mayRead, type Viewer } from './people.ts'
import { getRequest, type ListFilter, listRequests } from './reading.ts'
import { notYours, stale, unknown } from './refusals.ts'
import { Waiting, type WaitOptions } from './waiting.ts'

/** As many are expired or deleted in one go, so that nobody waits for it. */
const BATCH = 100

/** All that waits for a person's decision, and what became of it. One for each server process. */
export class Approvals {
  readonly holds: Holds
  readonly access: Access
  readonly #ledger: Ledger
  readonly #waiting: Waiting

  constructor(options: ApprovalOptions) {
    this.#ledger = new Ledger(options)
    this.#waiting = new Waiting(this.#ledger)
    this.holds = new Holds(this.#ledger)
    this.access = new Access(this.#ledger)
  }

  /** Has every event once it is true. Must not throw. Returns what ends that. */
  listen(listener: (event: ApprovalEvent) => void): () => void {
    return this.#ledger.listen(listener)
  }

  /** Has a person's word on a request; see `decide`. The id must be whole. */
  decide(ballot: Ballot, voter: Voter, policy: PolicyNow): Promise<Decision> {
    return decide(this.#ledger, ballot, voter, policy)
  }

  /**
   * Takes one's own request back, or an approval of one's own statement that was not used. The id must be whole.
   *
   * Throws: NOT_FOUND; DENIED somebody else's; STALE it is over; NO_STORE.
   */
  withdraw(id: string, viewer: Viewer): ApprovalRequest {
    const { principal } = viewer
    return this.#ledger.write(draft => {
      const request = draft.find(id)
      if (request === undefined || !mayRead(request, viewer)) return unknown(id)
      if (!isRequester(request, principal)) return notYours(request)
      const isUnused = request.state === 'approved' && request.kind === 'statement'
      if (request.state !== 'open' && !isUnused) return stale(request, draft.now)
      return draft.step(request, 'withdraw', { by: principal.user })
    })
  }

  /** Waits until a request is settled; see `Waiting.wait`. */
  wait(id: string, options: WaitOptions): Promise<ApprovalRequest | undefined> {
    return this.#waiting.wait(id, options)
  }

  /** Lists requests; see `listRequests`. */
  list(viewer: Viewer, filter: ListFilter): readonly ApprovalRequest[] {
    return listRequests(this.#ledger, viewer, filter)
  }

  /** Returns one request, by its id or the start of it; see `getRequest`. */
  get(viewer: Viewer, id: string): ApprovalRequest {
    return getRequest(this.#ledger, viewer, id)
  }

  /**
   * Ends what is over, and looks for what other processes have decided. To be called every second or so: whoever
   * asks in between finds expired what is over, this is for those who wait and for the record.
   *
   * Throws: NO_STORE, UNAUDITED.
   */
  expireDue(): readonly ApprovalRequest[] {
    const ledger = this.#ledger
    ledger.keepTime()
    if (ledger.store.hasChangedElsewhere()) this.#waiting.lookAgain()
    const due = ledger.store.due(ledger.now(), BATCH)
    if (due.length === 0) return []
    return ledger.write(draft => due.flatMap(({ id }) => draft.find(id) ?? []))
  }

  /** Puts the store in order when the server starts; see `Holds.expireAtStart`. */
  expireAtStart(): readonly ApprovalRequest[] {
    return [...this.holds.expireAtStart(), ...this.expireDue()]
  }

  /**
   * Deletes what has been over for longer than `keepMs`, some of it at a time. Returns how many; more may be left.
   * The audit log has their ids first, and all they were from before.
   *
   * Throws: UNAUDITED, NO_STORE: nothing is deleted.
   */
  deleteFinished(keepMs: number): number {
    return this.#ledger.deleteFinished(keepMs, BATCH)
  }

  /** The roles that a principal has for a while; see `Access.activeGrants`. */
  activeGrants(principal: Principal, at?: number) {
    return this.access.activeGrants(principal, at)
  }
}
