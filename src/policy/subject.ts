import type { FunctionEntry, May } from '../config/index.ts'
import type { Principal } from '../identity/index.ts'
import { type Analysis, type Hazard, NEEDS, type Statement } from '../sql/index.ts'
import type { Grant } from './grant.ts'
import { Names } from './patterns.ts'

/**
 * What is asked of a policy: may this be run, by this principal, here and now?
 *
 * Units: `at` is epoch milliseconds. `agent` and `application` are the client's own words. Undefined is what is
 * not known (or, of `environment`, not there); not knowing never makes the answer milder.
 */
export type Question = {
  readonly principal: Principal
  readonly grant: Grant
  readonly agent: string | undefined
  readonly application?: string | undefined
  readonly analysis: Analysis
  readonly at: number
  readonly environment: string | undefined
  readonly inTransaction: boolean | undefined
  readonly rowsEstimate?: number | undefined
}

type Acts = Pick<
  Statement,
  'kind' | 'kinds' | 'objects' | 'relations' | 'functions' | 'where' | 'settings'
>

/** What a policy may know better than the analysis, because an operator has said what a function does. */
type Effects = {
  readonly class: Statement['class']
  readonly needs: readonly May[]
  readonly hazards: readonly Hazard[]
  readonly acting: readonly string[]
}

/** One statement as it is judged. */
export type Subject = Effects & {
  readonly question: Question
  readonly acts: Acts
  /** Its own slice of the text; empty for a text that was not understood. */
  readonly text: string
  /** It may do things that are not among its facts: it runs code that can't be read. */
  readonly isOpaque: boolean
  /** It was not understood: nobody knows what it needs. */
  readonly isUnread: boolean
  /** What was not understood, in words for a detail line. */
  readonly unread: string | undefined
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '))

/** Kinds that need no more than reading by themselves. */
const READING = words('SELECT EXPLAIN COPY_TO CALL PREPARE EXECUTE DECLARE FETCH MOVE SHOW')

/** Kinds that bring code of their own, besides the functions they call. */
const WITH_CODE = words('DO CREATE ALTER')

/** What an operator has said about functions, and what follows from it for a statement. */
export class FunctionTable {
  readonly #reads: Names
  readonly #writes: Names
  readonly #admin: Names
  readonly #isEmpty: boolean

  constructor(entries: readonly FunctionEntry[]) {
    const named = (does: FunctionEntry['does']) =>
      new Names(entries.filter(entry => entry.does === does).map(({ name }) => name))
    this.#reads = named('reads')
    this.#writes = named('writes')
    this.#admin = named('admin')
    this.#isEmpty = entries.length === 0
  }

  effectsOf(statement: Statement): Effects {
    const { needs, hazards, actingFunctions: acting, functions } = statement
    const { class: classed } = statement
    if (this.#isEmpty || functions.length === 0) return { class: classed, needs, hazards, acting }
    const isDescribed =
      acting.length > 0 &&
      acting.every(name => this.#onlyReads(name) || this.#need(name) !== undefined) &&
      !statement.kinds.some(kind => WITH_CODE.has(kind))
    const left = isDescribed ? hazards.filter(hazard => hazard !== 'code') : hazards
    const still = acting.filter(name => !this.#onlyReads(name))
    const onlyReads = isDescribed && still.length === 0 && onlyCallsWrite(statement, left)
    const more = functions.flatMap(name => this.#need(name) ?? [])
    const needed = NEEDS.filter(
      need => more.includes(need) || (needs.includes(need) && !(onlyReads && need === 'write')),
    )
    return { class: needed.at(-1) ?? classed, needs: needed, hazards: left, acting: still }
  }

  /** Errs to the safe side, as `#need` does: where two entries differ, the stricter word counts. */
  #onlyReads(spelled: string): boolean {
    return this.#reads.coversSpelled(spelled) && this.#need(spelled) === undefined
  }

  /** What a call needs by the operator's word, if that may be more than reading. */
  #need(spelled: string): May | undefined {
    if (this.#admin.findsSpelled(spelled)) return 'admin'
    return this.#writes.findsSpelled(spelled) ? 'write' : undefined
  }
}

/** Whether nothing but the functions it calls can be why a statement needs to write. */
function onlyCallsWrite(statement: Statement, hazards: readonly Hazard[]): boolean {
  const { kinds, relations, needs, settings } = statement
  return (
    needs.every(need => need === 'read' || need === 'write') &&
    kinds.every(kind => READING.has(kind)) &&
    relations.every(({ access }) => access === 'read') &&
    hazards.every(hazard => hazard === 'sleep') &&
    settings.length === 0
  )
}

const NOTHING: Acts = {
  kind: '',
  kinds: [],
  objects: [],
  relations: [],
  functions: [],
  where: 'none',
  settings: [],
}

/** What a question is about, statement by statement; a text that was not understood counts as one. */
export function subjectsOf(question: Question, functions: FunctionTable): readonly Subject[] {
  const { analysis } = question
  if (analysis.ok) {
    return analysis.statements.map(statement => subjectOf(question, statement, functions))
  }
  return [
    {
      question,
      acts: NOTHING,
      text: '',
      class: 'admin',
      needs: [],
      hazards: ['unknown'],
      acting: [],
      isOpaque: true,
      isUnread: true,
      unread: analysis.error.message,
    },
  ]
}

function subjectOf(question: Question, statement: Statement, functions: FunctionTable): Subject {
  const { needs, hazards, acting, class: classed } = functions.effectsOf(statement)
  const isUnread = statement.notUnderstood.length > 0
  // Only 'unknown' stands for not knowing; any other hazard is a reason of its own to need 'admin'.
  const isOnlyUnread = isUnread && hazards.every(hazard => hazard === 'unknown')
  return {
    question,
    acts: statement,
    text: statement.text,
    class: classed,
    needs: isOnlyUnread ? needs.filter(need => need !== 'admin') : needs,
    hazards,
    acting,
    isOpaque: isUnread || runsUnreadCode(hazards, statement.functions),
    isUnread,
    unread: statement.notUnderstood[0],
  }
}

const CODE: readonly Hazard[] = ['code', 'program', 'unknown']

/** A program on the server, and a function that comes back in over the network, can do anything the role may. */
function runsUnreadCode(hazards: readonly Hazard[], functions: readonly string[]): boolean {
  if (hazards.length === 0) return false
  return (
    hazards.some(hazard => CODE.includes(hazard)) ||
    (hazards.includes('network') && functions.length > 0)
  )
}

/** Harmless by itself (BEGIN, SET timezone): only rules that name what it does are about it. */
export function isIdle({ needs, isOpaque }: Subject): boolean {
  return needs.length === 0 && !isOpaque
}
