import { sanitised } from '../mask/index.ts'
import {
  BackendTag,
  BodyReader,
  decodeParameterStatus,
  encodeNotice,
  encodeNotification,
  type Frame,
} from '../wire/index.ts'
import type { Authorizer } from './authorize.ts'
import { type Expected, NOTHING, type Relay } from './expected.ts'
import type { Run } from './run.ts'

const HEADER_BYTES = 5

/** Settings that the server reports by itself; what an extension reports could hold anything. */
const REPORTED = new Set([
  'application_name',
  'client_encoding',
  'DateStyle',
  'default_transaction_read_only',
  'in_hot_standby',
  'integer_datetimes',
  'IntervalStyle',
  'is_superuser',
  'scram_iterations',
  'search_path',
  'server_encoding',
  'server_version',
  'session_authorization',
  'standard_conforming_strings',
  'TimeZone',
])

/**
 * What a session with masks gets of messages that are no rows: errors and notices print values, a notification
 * carries what somebody else has put into it.
 */
export class Shield {
  readonly #authorizer: Authorizer
  /** Columns that somebody at psql has been told of. */
  readonly #told = new Set<string>()

  constructor(authorizer: Authorizer) {
    this.#authorizer = authorizer
  }

  /** What goes on in a message's place. `head` is what it answers and `run` what ran, as of before it came. */
  relay(frame: Frame, head: Expected | undefined, run: Run | null): Relay {
    switch (frame.tag) {
      case BackendTag.ErrorResponse:
        return this.#error(frame, head, run)
      case BackendTag.NoticeResponse:
        return this.#isPrivate(head, run) ? NOTHING : 'pass'
      case BackendTag.NotificationResponse:
        return withoutPayload(frame)
      case BackendTag.ParameterStatus:
        return REPORTED.has(decodeParameterStatus(frame)[0]) ? 'pass' : NOTHING
      default:
        return 'pass'
    }
  }

  /** What somebody at psql is told before rows with these columns come, once for each; tools show no warnings. */
  warningsOf(run: Run | null): readonly Buffer[] {
    const mask = run?.mask
    const { application, agent } = this.#authorizer.standing
    if (mask == null || (application !== 'psql' && agent !== 'psql')) return []
    return mask.masked.flatMap(name => {
      if (this.#told.has(name)) return []
      this.#told.add(name)
      const text = `dbgate: ${name} is masked (${mask.whyOf(name)}).`
      return [encodeNotice(text, {}, 'WARNING')]
    })
  }

  #error(frame: Frame, head: Expected | undefined, run: Run | null): Relay {
    // Nothing runs: the server says why it ends.
    if (head === undefined || !this.#isPrivate(head, run)) return 'pass'
    const ask = {
      relationNames: run?.mask?.relationNames ?? [],
      runsCode: this.#runsCode(head, run),
      isParsing: head.kind === 'parse' || head.kind === 'describe',
    }
    return sanitised(frame, ask) ?? NOTHING
  }

  /** What is put off to the end of a transaction answers to its Sync. */
  #isPrivate(head: Expected | undefined, run: Run | null): boolean {
    if (head?.kind === 'close') return false
    const plans = this.#plansOf(head)
    if (plans !== undefined) return plans.some(({ isPrivate }) => isPrivate)
    return run?.isPrivate !== false
  }

  #runsCode(head: Expected, run: Run | null): boolean {
    const plans = this.#plansOf(head)
    if (plans !== undefined) return plans.some(({ lineage }) => lineage?.runsCode !== false)
    return run?.mask?.runsCode !== false
  }

  /** Of what is read and not run. */
  #plansOf(head: Expected | undefined) {
    const of =
      head?.kind === 'parse' ? head.prepared : head?.kind === 'describe' ? head.of : undefined
    return of == null ? undefined : this.#authorizer.confidential.plansOf(of.judgement)
  }
}

function withoutPayload(frame: Frame): Buffer {
  const body = new BodyReader(
    frame.buf,
    frame.start + HEADER_BYTES,
    frame.end,
    'NotificationResponse',
  )
  const pid = body.int32()
  const channel = body.cstringBytes()
  return encodeNotification(pid, channel)
}
