import type {
  Completion,
  Recording,
  RecordingSeal,
  SessionListener,
  StatementFacts,
  StatementId,
} from '../record/index.ts'
import type { Hold } from '../store/index.ts'
import {
  BackendTag,
  BodyReader,
  decodeParameterStatus,
  decodeReadyForQuery,
  type Frame,
  type TransactionStatus,
} from '../wire/index.ts'
import type { Expected } from './exchange.ts'
import type { Portal, Prepared } from './names.ts'
import { RecordedCopy } from './recorded-copy.ts'
import { messageOf, type Sent } from './recorded-message.ts'
import { type Described, RecordedRows } from './recorded-rows.ts'
import type { Run } from './run.ts'

export type RecorderOptions = {
  readonly recording: Recording
  readonly parameters: 'masked' | 'full' | 'none'
  /** The encoding of text, by PostgreSQL's name. */
  readonly encoding: () => string
  /** Something is masked in this session: what nobody has looked through is not recorded. */
  readonly isPrivate: () => boolean
}

/**
 * Retells one session to its recording: what was asked, from the audit log's own facts, and what went down to
 * the person, from the very messages, after all that the gate does to them.
 */
export class Recorder implements SessionListener {
  readonly #options: RecorderOptions
  readonly #recording: Recording
  readonly #rows: RecordedRows
  readonly #copy: RecordedCopy
  /** Over, but the error that ended them may be still to come: that is told first. */
  #over: string[] = []
  /** Refused and not answered yet, oldest first. */
  #refused: StatementId[] = []
  #status: TransactionStatus = 'I'
  /** What Describe was answered for a statement or a portal. */
  readonly #described = new WeakMap<Prepared | Portal, Described>()
  readonly #effects = new WeakMap<StatementFacts['statements'], string>()

  constructor(options: RecorderOptions) {
    this.#options = options
    this.#recording = options.recording
    this.#rows = new RecordedRows(options.recording, options.encoding)
    this.#copy = new RecordedCopy(options.recording)
  }

  // What the audit log hears.

  statement(id: StatementId, facts: StatementFacts, isRefused: boolean): void {
    this.flush()
    const { protocol, text, textBase64, verdict, rule, request, observed } = facts
    const parameters = this.#options.parameters === 'none' ? undefined : facts.parameters
    let json = `"e":"statement","id":"${id}","protocol":"${protocol}","text":${JSON.stringify(text)}`
    if (textBase64 !== undefined) json += `,"textBase64":${JSON.stringify(textBase64)}`
    if (parameters !== undefined) json += `,"parameters":${JSON.stringify(parameters)}`
    json += `,${this.#effectOf(facts)},"verdict":"${verdict}","rule":${JSON.stringify(rule)}`
    if (request !== undefined) json += `,"request":${JSON.stringify(request)}`
    if (observed !== undefined) json += `,"observed":${JSON.stringify(observed)}`
    if (isRefused) {
      json += ',"refused":true'
      this.#refused.push(id)
    }
    this.#recording.add(`${json}}`, false)
  }

  completed(id: StatementId, completion: Completion): void {
    this.#rows.finish(id)
    this.#copy.finish(id)
    this.#over.push(JSON.stringify({ e: 'complete', id, ...completion }).slice(1))
  }

  async ended(reason: string): Promise<RecordingSeal> {
    this.flush()
    return this.#recording.end(reason)
  }

  sealed(): void {
    this.#recording.sealed()
  }

  /** What rows of a portal will be, as the gate has asked by itself. */
  described(portal: Portal, frame: Frame): void {
    if (frame.tag !== BackendTag.RowDescription) return
    this.#described.set(portal, this.#rows.describe(frame))
  }

  // What goes down to the person.

  /** A DataRow, or a piece of one, of a statement that runs. */
  row(run: Run, head: Expected | undefined, sent: Sent): void {
    if (this.#rows.isCut(run.id)) return
    this.#rows.add(run.id, sent, () => this.#shapeOf(head))
  }

  /** CopyData on its way down, or a piece of it. */
  copyOut(run: Run, sent: Sent): void {
    this.#copy.add('out', run.id, sent)
  }

  /** CopyData on its way up. */
  copyIn(run: Run | null, frame: Frame): void {
    // Nobody knows which of its columns are masked ones.
    if (this.#options.isPrivate()) this.#copy.leaveOut(run?.id)
    else this.#copy.add('in', run?.id, frame)
  }

  /** Any other message; `head` is what it answers and `run` what ran, both as of before it came. */
  message(head: Expected | undefined, run: Run | null, sent: Sent): void {
    const frame = frameOf(sent)
    if (frame.tag !== BackendTag.ErrorResponse) this.#settle()
    switch (frame.tag) {
      case BackendTag.RowDescription:
        this.#describe(head, run, frame)
        return
      case BackendTag.CopyOutResponse:
      case BackendTag.CopyInResponse:
        this.#copy.begin(run?.id, frame)
        return
      case BackendTag.ErrorResponse:
        this.#failed(head, run, frame)
        return
      case BackendTag.NoticeResponse:
        this.#tell('notice', { id: run?.id, ...messageOf(frame) })
        return
      case BackendTag.NotificationResponse: {
        const body = new BodyReader(frame.buf, frame.start + 5, frame.end, 'NotificationResponse')
        const pid = body.int32()
        this.#tell('notification', { channel: body.cstring(), payload: body.cstring(), pid })
        return
      }
      case BackendTag.ParameterStatus: {
        const [name, value] = decodeParameterStatus(frame)
        this.#tell('setting', { name, value })
        return
      }
      case BackendTag.ReadyForQuery:
        this.#ready(decodeReadyForQuery(frame))
        return
      default:
    }
  }

  /** A statement is filed for somebody's word, and waits on the line for a while. */
  held({ id, rule, statement }: Hold, waitMs: number): void {
    this.flush()
    const text = this.#options.isPrivate() ? '' : statement.text
    this.#tell('held', { request: id, rule, text, waitMs })
  }

  /** What became of a statement that needs somebody's word. */
  decided({ id, decided }: Hold, outcome: 'run' | 'refused', state: string): void {
    this.flush()
    const { by, why: comment } = decided ?? {}
    this.#tell('decided', { request: id, outcome, state, by, comment })
  }

  /** What was read at once is told: nothing of it is kept back. */
  flush(): void {
    this.#rows.flush()
    this.#copy.flush()
    this.#settle()
  }

  #settle(): void {
    if (this.#over.length === 0) return
    for (const body of this.#over) this.#recording.add(body, false)
    this.#over = []
  }

  #tell(e: string, event: Readonly<Record<string, unknown>>): void {
    this.#rows.flush()
    this.#copy.flush()
    this.#recording.add(JSON.stringify({ e, ...event }).slice(1), false)
  }

  #failed(head: Expected | undefined, run: Run | null, frame: Frame): void {
    const isRefusal = head !== undefined && head.refusal !== null
    const id = isRefusal ? this.#refused.shift() : run?.id
    const prepared = !isRefusal && head?.kind === 'parse' ? head.prepared : null
    // A text that fails to be prepared has no record of its own.
    const text = this.#options.isPrivate() ? undefined : prepared?.judgement.recorded.text
    this.#tell('error', { id, ...messageOf(frame), text })
    this.#settle()
  }

  #ready(status: TransactionStatus): void {
    this.#rows.flush()
    if (status === this.#status) return
    this.#status = status
    this.#tell('transaction', { status })
  }

  /** The person has no answer outstanding: what was refused and skipped gets none. */
  rest(): void {
    if (this.#refused.length > 0) this.#refused = []
  }

  #describe(head: Expected | undefined, run: Run | null, frame: Frame): void {
    const described = this.#rows.describe(frame)
    if (head?.kind !== 'describe') {
      if (run !== null) this.#rows.begin(run.id, described)
      return
    }
    if (head.of === null) return
    this.#described.set(head.of, described)
    if ('run' in head.of && head.of.run !== null) this.#rows.begin(head.of.run.id, described)
  }

  /** What the rows of an Execute look like, by what was described: its portal, or the statement behind it. */
  #shapeOf(head: Expected | undefined): Described | undefined {
    if (head?.kind !== 'execute' || head.portal === null) return undefined
    const { portal } = head
    const own = this.#described.get(portal)
    if (own !== undefined) return own
    const { prepared, formats } = portal
    const behind = prepared === null ? undefined : this.#described.get(prepared)
    return { columns: behind?.columns ?? '', fields: behind?.fields ?? [], formats }
  }

  #effectOf({ statements }: StatementFacts): string {
    const known = this.#effects.get(statements)
    if (known !== undefined) return known
    const kinds = statements.map(({ kind }) => kind)
    const strongest = CLASSES.find(one => statements.some(each => each.class === one)) ?? 'admin'
    const json = `"kinds":${JSON.stringify(kinds)},"class":"${strongest}"`
    this.#effects.set(statements, json)
    return json
  }
}

const CLASSES = ['admin', 'ddl', 'write', 'read', 'session', 'transaction']

function frameOf(sent: Sent): Frame {
  if (!Buffer.isBuffer(sent)) return sent
  return { tag: sent[0] ?? 0, buf: sent, start: 0, end: sent.length, part: 'whole' }
}
