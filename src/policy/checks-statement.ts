/** Keys that go by what the statement does. */

import { type Check, listed, type Maker, some } from './check.ts'
import { Names, Words } from './patterns.ts'
import type { Subject } from './subject.ts'

/** All of a list, and at least one. */
const every = <T>(items: readonly T[], holds: (item: T) => boolean): boolean =>
  items.length > 0 && items.every(holds)

/** `class:` any of what it needs. */
export const byClass: Maker<'class'> = wanted => {
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
const COPIES: readonly string[] = ['COPY_FROM', 'COPY_TO']

/** `kind:` any kind in it, and of what type of object. */
export const byKind: Maker<'kind'> = wanted => {
  const patterns = wanted.map(each => {
    const [kind = '', object] = each.split(' ')
    return { kind, object }
  })
  const covering = (kind: string) =>
    patterns.filter(
      pattern => pattern.kind === kind || (pattern.kind === 'COPY' && COPIES.includes(kind)),
    )
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

/** `tables:` any relation it touches. */
export const byTable: Maker<'tables'> = wanted => {
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

/** `functions:` and `acting_functions:` any of those it calls. */
export const byFunction =
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

/** `settings:` any it changes. */
export const bySetting: Maker<'settings'> = wanted => {
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

/** `hazards:` any it has. */
export const byHazard: Maker<'hazards'> = wanted => {
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

/** `where:` how much the weakest condition in it holds back. */
export const byWhere: Maker<'where'> = wanted => {
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

/** `rows_estimate:` more rows than that, or nobody knows. */
export const byRows: Maker<'rowsEstimate'> = ({ atLeast, text }) => ({
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
