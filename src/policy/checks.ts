import type { Conditions } from '../config/index.ts'
import type { Principal } from '../identity/index.ts'
import { isKnownAgent } from './agents.ts'
import { Names, Words } from './patterns.ts'
import type { Subject } from './subject.ts'
import { Week } from './time.ts'

/** What a key goes by: what the statement does, who and where, or what the client says of itself. */
export type About = 'statement' | 'principal' | 'situation' | 'client'

/**
 * One key of a block of conditions. It is asked in one of two ways, which err to different sides.
 *
 * `finds`, under `when` and `or`: is anything in the statement on the list? What is not known counts as yes.
 * `covers`, under `unless`: is everything on it for sure? What is not known counts as no, and so does what a
 * client says of itself: nothing is taken away for that.
 */
export type Check = {
  readonly key: string
  readonly about: About
  readonly finds: (subject: Subject) => boolean
  readonly covers: (subject: Subject) => boolean
  /** Settles it for good, where it goes by who it is alone. */
  readonly isAbout?: (principal: Principal) => boolean
  /** The fact that it went by, for explanations: `class is ddl`. */
  readonly fact: (subject: Subject) => string
  /** What it looks for: `write`. Undefined where the fact says that too. */
  readonly wanted: string | undefined
  /** The first instant after `at` at which its answer may change by itself. */
  readonly changesAfter?: (at: number) => number
}

type Maker<K extends keyof Conditions> = (wanted: NonNullable<Conditions[K]>) => Check

const listed = (words: readonly string[]): string => words.join(', ')
const some = (words: readonly string[]): string => (words.length === 0 ? 'none' : listed(words))

/** All of a list, and at least one. */
const every = <T>(items: readonly T[], holds: (item: T) => boolean): boolean =>
  items.length > 0 && items.every(holds)

const byClass: Maker<'class'> = wanted => {
  const classes: ReadonlySet<string> = new Set(wanted)
  return {
    key: 'class',
    about: 'statement',
    finds: subject => classes.has(subject.class) || subject.needs.some(need => classes.has(need)),
    covers: ({ class: classed, needs }) =>
      classes.has(classed) && needs.every(need => classes.has(need)),
    fact: ({ class: classed }) => `class is ${classed}`,
    wanted: listed(wanted),
  }
}

/** `COPY` takes in COPY_FROM, `ALTER` takes in ALTER_SYSTEM. */
const isOfKind = (wanted: string, kind: string): boolean =>
  kind === wanted || kind.startsWith(`${wanted}_`)

/** What `COPY` takes away: copying to and from the client, and no program on the server. */
const COPIES: Readonly<Record<string, readonly string[]>> = { COPY: ['COPY_FROM', 'COPY_TO'] }

const byKind: Maker<'kind'> = wanted => {
  const patterns = wanted.map(each => {
    const [kind = '', object] = each.split(' ')
    return { kind, object }
  })
  const covering = (kind: string) =>
    patterns.filter(pattern => pattern.kind === kind || COPIES[pattern.kind]?.includes(kind))
  return {
    key: 'kind',
    about: 'statement',
    finds: ({ acts }) =>
      patterns.some(
        ({ kind, object }) =>
          acts.kinds.some(found => isOfKind(kind, found)) &&
          (object === undefined || acts.objects.includes(object)),
      ),
    covers: ({ acts }) =>
      every(acts.kinds, kind => {
        const fitting = covering(kind)
        const objects = fitting.map(({ object }) => object)
        if (objects.includes(undefined)) return true
        return fitting.length > 0 && every(acts.objects, object => objects.includes(object))
      }),
    fact: ({ acts }) => {
      const objects = acts.objects.length === 0 ? '' : ` (${listed(acts.objects)})`
      return `kind is ${some(acts.kinds)}${objects}`
    },
    wanted: listed(wanted),
  }
}

const byTable: Maker<'tables'> = wanted => {
  const names = new Names(wanted)
  return {
    key: 'tables',
    about: 'statement',
    finds: ({ acts }) => acts.relations.some(({ schema, name }) => names.finds(schema, name)),
    covers: ({ acts }) => every(acts.relations, ({ schema, name }) => names.covers(schema, name)),
    fact: ({ acts }) => {
      const tables = acts.relations.map(({ schema, name }) =>
        schema === undefined ? name : `${schema}.${name}`,
      )
      return `tables are ${some([...new Set(tables)])}`
    },
    wanted: listed(wanted),
  }
}

const byFunction =
  (key: string, of: (subject: Subject) => readonly string[]) =>
  (wanted: readonly string[]): Check => {
    const names = new Names(wanted)
    return {
      key,
      about: 'statement',
      finds: subject => of(subject).some(name => names.findsSpelled(name)),
      covers: subject => every(of(subject), name => names.coversSpelled(name)),
      fact: subject => `${key.replace('_', ' ')} are ${some(of(subject))}`,
      wanted: listed(wanted),
    }
  }

const bySetting: Maker<'settings'> = wanted => {
  const words = new Words(wanted)
  return {
    key: 'settings',
    about: 'statement',
    finds: ({ acts }) => acts.settings.some(({ name }) => words.has(name)),
    covers: ({ acts }) => every(acts.settings, ({ name }) => words.has(name)),
    fact: ({ acts }) => `settings are ${some(acts.settings.map(({ name }) => name))}`,
    wanted: listed(wanted),
  }
}

const byHazard: Maker<'hazards'> = wanted => {
  const hazards: ReadonlySet<string> = new Set(wanted)
  return {
    key: 'hazards',
    about: 'statement',
    finds: subject => subject.hazards.some(hazard => hazards.has(hazard)),
    covers: subject => every(subject.hazards, hazard => hazards.has(hazard)),
    fact: subject => `hazards are ${some(subject.hazards)}`,
    wanted: listed(wanted),
  }
}

const byWhere: Maker<'where'> = wanted => {
  // A WHERE that lets every row pass is as good as none.
  const strengths: ReadonlySet<string> = new Set([
    ...wanted,
    ...(wanted.includes('missing') ? ['trivial'] : []),
  ])
  const holds = ({ acts }: Subject) => strengths.has(acts.where)
  return {
    key: 'where',
    about: 'statement',
    finds: holds,
    covers: holds,
    fact: ({ acts }) => `where is ${acts.where}`,
    wanted: listed(wanted),
  }
}

const byRows: Maker<'rowsEstimate'> = ({ atLeast, text }) => ({
  key: 'rows_estimate',
  about: 'statement',
  finds: ({ question }) => question.rowsEstimate === undefined || question.rowsEstimate >= atLeast,
  covers: ({ question }) => question.rowsEstimate !== undefined && question.rowsEstimate >= atLeast,
  fact: ({ question: { rowsEstimate } }) =>
    rowsEstimate === undefined
      ? 'rows estimate is not known, which counts as more'
      : `rows estimate is ${rowsEstimate}`,
  wanted: text,
})

const byGroup: Maker<'groups'> = wanted => {
  const isAbout = ({ groups }: Principal) => groups.some(group => wanted.includes(group))
  const holds = ({ question }: Subject) => isAbout(question.principal)
  return {
    key: 'groups',
    about: 'principal',
    finds: holds,
    covers: holds,
    isAbout,
    fact: ({ question }) => `groups are ${some(question.principal.groups)}`,
    wanted: listed(wanted),
  }
}

const byUser: Maker<'users'> = wanted => {
  const isAbout = ({ user }: Principal) => wanted.includes(user)
  const holds = ({ question }: Subject) => isAbout(question.principal)
  return {
    key: 'users',
    about: 'principal',
    finds: holds,
    covers: holds,
    isAbout,
    fact: ({ question }) => `user is ${question.principal.user}`,
    wanted: listed(wanted),
  }
}

const byTool: Maker<'via'> = wanted => {
  const words = new Words(wanted)
  const isAny = words.has('agent')
  return {
    key: 'via',
    about: 'client',
    finds: ({ question: { agent } }) =>
      agent !== undefined && agent !== '' && (words.has(agent) || (isAny && isKnownAgent(agent))),
    covers: () => false,
    fact: ({ question }) => `via is ${question.agent || 'not said'}`,
    wanted: listed(wanted),
  }
}

const byApplication: Maker<'application'> = wanted => {
  const words = new Words(wanted)
  return {
    key: 'application',
    about: 'client',
    finds: ({ question: { application } }) =>
      application !== undefined && application !== '' && words.has(application),
    covers: () => false,
    fact: ({ question }) => `application is ${question.application || 'not said'}`,
    wanted: listed(wanted),
  }
}

const byEnvironment: Maker<'environment'> = wanted => {
  const holds = ({ question: { environment } }: Subject) =>
    environment !== undefined && wanted.includes(environment)
  return {
    key: 'environment',
    about: 'situation',
    finds: holds,
    covers: holds,
    fact: ({ question }) => `environment is ${question.environment ?? 'not set'}`,
    wanted: listed(wanted),
  }
}

const byTime: Maker<'time'> = ({ is, windows, zone }) => {
  const week = new Week(windows, zone)
  const holds = ({ question }: Subject) => week.holds(question.at) === (is === 'inside')
  const texts = listed(windows.map(window => window.text))
  return {
    key: 'time',
    about: 'situation',
    finds: holds,
    covers: holds,
    fact: ({ question: { at } }) => {
      const where = week.holds(at) ? 'inside' : 'outside'
      return `${week.clockAt(at)} is ${where} ${texts} (${zone})`
    },
    wanted: undefined,
    changesAfter: at => week.changesAfter(at),
  }
}

const byTransaction: Maker<'inTransaction'> = wanted => ({
  key: 'in_transaction',
  about: 'situation',
  finds: ({ question: { inTransaction } }) =>
    inTransaction === undefined || inTransaction === wanted,
  covers: ({ question }) => question.inTransaction === wanted,
  fact: ({ question: { inTransaction } }) =>
    inTransaction === undefined
      ? 'in transaction is not known'
      : `in transaction is ${String(inTransaction)}`,
  wanted: String(wanted),
})

const MAKERS: { readonly [K in keyof Required<Conditions>]: Maker<K> } = {
  groups: byGroup,
  users: byUser,
  environment: byEnvironment,
  class: byClass,
  kind: byKind,
  where: byWhere,
  hazards: byHazard,
  tables: byTable,
  functions: byFunction('functions', ({ acts }) => acts.functions),
  actingFunctions: byFunction('acting_functions', ({ acting }) => acting),
  settings: bySetting,
  via: byTool,
  application: byApplication,
  inTransaction: byTransaction,
  rowsEstimate: byRows,
  time: byTime,
}

/** The checks of a block of conditions, cheap ones first. */
export function checksOf(conditions: Conditions): readonly Check[] {
  const make = <K extends keyof Conditions>(key: K): Check[] => {
    const wanted = conditions[key]
    return wanted === undefined ? [] : [MAKERS[key](wanted)]
  }
  return (Object.keys(MAKERS) as (keyof Conditions)[]).flatMap(make)
}
