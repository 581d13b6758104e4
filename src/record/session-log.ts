import { DbgateError } from '../errors.ts'
import type { StatementEncoder } from './encode.ts'
import { encodeCompletion, encodeLabel } from './encode.ts'
import type { Owner } from './queue.ts'
import type {
  Completion,
  RecordingSeal,
  SessionFacts,
  StatementFacts,
  StatementId,
} from './records.ts'

/** What a session's log may do with the log it belongs to. */
export type Sink = {
  readonly statements: StatementEncoder
  push(body: string, owner?: Owner, id?: StatementId): void
  commit(): void
  now(): number
}

/**
 * Hears what a session's log is told, for the session's recording. `statement` comes when it is certain
 * whether it may be forwarded.
 */
export type SessionListener = {
  statement(id: StatementId, facts: StatementFacts, isRefused: boolean): void
  completed(id: StatementId, completion: Completion): void
  /** Finishes the recording. Never rejects. */
  ended(reason: string): Promise<RecordingSeal>
  /** The seal is on file. */
  sealed(): void
}

/**
 * One session's part of the audit log.
 *
 * The order for a statement: `stage`, `commit`, forward it, and at its end `complete`. Several may be staged
 * for one commit. Only a `commit` that returned makes them permitted.
 */
export class SessionLog {
  readonly id: string
  readonly #sink: Sink
  readonly #statement: string
  readonly #denied: string
  readonly #owner: Owner
  readonly #startedAt: number
  readonly #listener: SessionListener | undefined
  /** Told to the listener once it is known whether they are on file. */
  #staged: { readonly id: StatementId; readonly facts: StatementFacts }[] = []
  #counter = 0
  #isRefused = false

  constructor(facts: SessionFacts, sink: Sink, listener?: SessionListener) {
    const label = encodeLabel(facts)
    this.id = facts.id
    this.#sink = sink
    this.#statement = `"type":"statement",${label}`
    this.#denied = `"type":"denied",${label}`
    this.#startedAt = sink.now()
    this.#listener = listener
    this.#owner = {
      refused: () => {
        this.#isRefused = true
      },
    }
  }

  /**
   * Prepares the record of a statement that is about to be forwarded, and returns its id.
   *
   * Throws: LIMIT (54000) the statement is too long for a record; UNAUDITED (58030) the log is closed.
   */
  stage(facts: StatementFacts): StatementId {
    const id = `${this.id}.${this.#counter + 1}`
    this.#sink.push(this.#statement + this.#sink.statements.encode(id, facts), this.#owner, id)
    this.#counter++
    if (this.#listener !== undefined) this.#staged.push({ id, facts })
    return id
  }

  /**
   * Writes everything that is staged, of this session and others, in one write.
   *
   * Throws: UNAUDITED (58030) not all that this session staged is on file: none of it may be forwarded.
   * That holds even if it was another session's commit that failed.
   */
  commit(): void {
    try {
      this.#sink.commit()
    } catch (error) {
      this.#isRefused = false
      this.#tell(true)
      throw error
    }
    this.#tell(this.#isRefused)
    if (!this.#isRefused) return
    this.#isRefused = false
    throw unaudited('an earlier write failed')
  }

  /**
   * Puts a refused statement on record and returns its id. Nothing waits for it: if the log cannot be
   * written now, the record is kept in memory until it can.
   *
   * Throws: LIMIT (54000) the statement is too long for a record.
   */
  deny(facts: StatementFacts): StatementId {
    const id = `${this.id}.${this.#counter + 1}`
    this.#sink.push(this.#denied + this.#sink.statements.encode(id, facts))
    this.#counter++
    this.#listener?.statement(id, facts, true)
    return id
  }

  /** Puts on record how a statement ended, at the next commit or within the flush time. */
  complete(id: StatementId, completion: Completion): void {
    this.#sink.push(encodeCompletion(id, completion))
    this.#listener?.completed(id, completion)
  }

  /**
   * Puts the session's end on record, at the next commit or within the flush time; with a recording, once
   * that is finished, since its digest goes along.
   */
  end(reason: string): void {
    const type = 'session.end'
    const durationMs = Math.max(0, this.#sink.now() - this.#startedAt)
    const record = { type, session: this.id, reason, statements: this.#counter, durationMs }
    const listener = this.#listener
    if (listener === undefined) {
      this.#sink.push(JSON.stringify(record).slice(1))
      return
    }
    void listener.ended(reason).then(recording => {
      this.#sink.push(JSON.stringify({ ...record, recording }).slice(1))
      try {
        this.#sink.commit()
      } catch {
        // The log reports that by itself. The recording stays where the next start looks for it.
        return
      }
      listener.sealed()
    })
  }

  #tell(isRefused: boolean): void {
    if (this.#staged.length === 0) return
    for (const { id, facts } of this.#staged) this.#listener?.statement(id, facts, isRefused)
    this.#staged = []
  }
}

/** The refusal of everything that could not be put on record. */
export function unaudited(reason: string, cause?: unknown): DbgateError {
  return new DbgateError('UNAUDITED', 'audit log cannot be written', {
    detail: `Nothing runs unrecorded, so the statement was refused (${reason}).`,
    hint: 'Tell whoever runs the dbgate server; it recovers by itself once the log can be written.',
    cause,
  })
}
