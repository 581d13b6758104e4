import type { Access, CopyOption, Hazard, Need, Setting, TransactionStep } from './statement.ts'
import { type WhereStrength, weaker } from './where.ts'

/** A name as the text has it; `schema` is undefined where the search path decides. */
export type Name = { readonly schema: string | undefined; readonly name: string }

/** What is done to a relation's rows, or `NONE`: only its definition or its locks are touched. */
export type Command = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE' | 'COPY' | 'NONE'

/**
 * One use of a relation. `columns` are the ones an UPDATE sets, `isOnly` leaves its children out.
 */
export type Use = Name & {
  readonly access: Access
  readonly command: Command
  readonly columns: readonly string[]
  readonly isOnly: boolean
}

/** A condition that holds nothing back if all these columns of a relation are NOT NULL. */
export type NotNullCondition = { readonly relation: Name; readonly columns: readonly string[] }

export type RawStep =
  | { readonly step: 'prepare'; readonly name: string; readonly statement: RawStatement }
  | { readonly step: 'deallocate'; readonly name: string | undefined }
  | {
      readonly step: 'declare'
      readonly name: string
      readonly hold: boolean
      readonly statement: RawStatement
    }
  | { readonly step: 'close'; readonly name: string | undefined }
  | { readonly step: 'temporary'; readonly name: string; readonly columns: readonly string[] }
  | { readonly step: 'discard'; readonly what: 'all' | 'plans' | 'sequences' | 'temp' }

/**
 * What a statement says by itself. What its names stand for, the session's and the database's, is
 * looked up later, so that a text is parsed once whatever else changes. Plain values only: it
 * crosses threads.
 */
export type RawStatement = {
  readonly text: string
  readonly fingerprint: string
  readonly kind: string
  readonly idle: 'session' | 'transaction'
  readonly transaction: TransactionStep | undefined
  readonly chain: boolean
  readonly kinds: readonly string[]
  readonly needs: readonly Need[]
  readonly objects: readonly string[]
  readonly hazards: readonly Hazard[]
  readonly notUnderstood: readonly string[]
  readonly where: WhereStrength
  readonly trivialIf: readonly NotNullCondition[]
  readonly uses: readonly Use[]
  readonly calls: readonly Name[]
  /** Functions called whose effect is already part of this. */
  readonly judged: readonly string[]
  readonly operators: readonly Name[]
  /** Types that are cast to or assigned: a domain runs its checks. */
  readonly types: readonly Name[]
  /** Last parts of dotted names: `x.f` calls f(x) where x has no column f. */
  readonly attributes: readonly string[]
  readonly steps: readonly RawStep[]
  readonly executes: readonly string[]
  readonly fetches: readonly string[]
  readonly settings: readonly Setting[]
  readonly copyOptions?: readonly CopyOption[]
}

const spell = ({ schema, name }: Name): string => `${schema ?? ''}\0${name}`

/** Collects what the walk over one statement finds. Sets keep the order of discovery. */
export class Findings {
  kind = ''
  idle: 'session' | 'transaction' = 'session'
  transaction: TransactionStep | undefined
  chain = false
  readonly kinds = new Set<string>()
  readonly needs = new Set<Need>()
  readonly objects = new Set<string>()
  readonly hazards = new Set<Hazard>()
  readonly notUnderstood = new Set<string>()
  readonly attributes = new Set<string>()
  readonly judged = new Set<string>()
  readonly executes = new Set<string>()
  readonly fetches = new Set<string>()
  readonly trivialIf: NotNullCondition[] = []
  readonly steps: RawStep[] = []
  readonly settings: Setting[] = []
  copyOptions: readonly CopyOption[] | undefined
  #where: WhereStrength = 'none'
  readonly #uses = new Map<string, Use>()
  readonly #calls = new Map<string, Name>()
  readonly #operators = new Map<string, Name>()
  readonly #types = new Map<string, Name>()

  /** Notes that the statement needs something, and optionally what makes it worse than that. */
  need(need: Need | undefined, hazard?: Hazard): void {
    if (need !== undefined) this.needs.add(need)
    if (hazard !== undefined) this.hazards.add(hazard)
  }

  /** Notes something that is not understood: it needs the most there is. */
  refuse(what: string): void {
    this.notUnderstood.add(what)
    this.need('admin', 'unknown')
  }

  /** Notes the strength of the condition of an UPDATE, DELETE or the like. */
  weaken(where: WhereStrength): void {
    this.#where = weaker(this.#where, where)
  }

  use(use: Use): void {
    const { access, command, columns, isOnly } = use
    this.#uses.set(`${access} ${command} ${isOnly} ${columns.join(' ')} ${spell(use)}`, use)
  }

  call(name: Name): void {
    this.#calls.set(spell(name), name)
  }

  operator(name: Name): void {
    this.#operators.set(spell(name), name)
  }

  type(name: Name): void {
    this.#types.set(spell(name), name)
  }

  /** Adds all that another statement does, except what it does to the session. */
  absorb(raw: RawStatement): void {
    for (const kind of raw.kinds) this.kinds.add(kind)
    for (const need of raw.needs) this.needs.add(need)
    for (const object of raw.objects) this.objects.add(object)
    for (const hazard of raw.hazards) this.hazards.add(hazard)
    for (const what of raw.notUnderstood) this.notUnderstood.add(what)
    for (const attribute of raw.attributes) this.attributes.add(attribute)
    for (const name of raw.judged) this.judged.add(name)
    for (const use of raw.uses) this.use(use)
    for (const call of raw.calls) this.call(call)
    for (const operator of raw.operators) this.operator(operator)
    for (const type of raw.types) this.type(type)
    for (const name of raw.executes) this.executes.add(name)
    for (const name of raw.fetches) this.fetches.add(name)
    this.trivialIf.push(...raw.trivialIf)
    this.weaken(raw.where)
  }

  /** Makes the value. */
  raw(text: string, fingerprint: string): RawStatement {
    return {
      text,
      fingerprint,
      kind: this.kind,
      idle: this.idle,
      transaction: this.transaction,
      chain: this.chain,
      kinds: [...this.kinds],
      needs: [...this.needs],
      objects: [...this.objects],
      hazards: [...this.hazards],
      notUnderstood: [...this.notUnderstood],
      where: this.#where,
      trivialIf: this.trivialIf,
      uses: [...this.#uses.values()],
      calls: [...this.#calls.values()],
      judged: [...this.judged],
      operators: [...this.#operators.values()],
      types: [...this.#types.values()],
      attributes: [...this.attributes],
      steps: this.steps,
      executes: [...this.executes],
      fetches: [...this.fetches],
      settings: this.settings,
      ...(this.copyOptions === undefined ? {} : { copyOptions: this.copyOptions }),
    }
  }
}
