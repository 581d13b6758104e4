/** Keys that go by who asks, where and when, and by what the client says of itself. */

import type { Principal } from '../identity/index.ts'
import { isKnownAgent } from './agents.ts'
import { listed, type Maker, some } from './check.ts'
import { Words } from './patterns.ts'
import type { Subject } from './subject.ts'
import { Week } from './time.ts'

/** `groups:` the person is in one of them. */
export const byGroup: Maker<'groups'> = wanted => {
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

/** `users:` the person is one of them. */
export const byUser: Maker<'users'> = wanted => {
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

/** `via:` the tool by its own label. */
export const byTool: Maker<'via'> = wanted => {
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

/** `application:` the application_name, as the client set it. */
export const byApplication: Maker<'application'> = wanted => {
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

/** `environment:` the target's. */
export const byEnvironment: Maker<'environment'> = wanted => {
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

/** `grant:` where the role comes from. */
export const byGrant: Maker<'grant'> = wanted => {
  const holds = ({ question }: Subject) => wanted.includes(question.grant.from)
  return {
    key: 'grant',
    about: 'situation',
    finds: holds,
    covers: holds,
    fact: ({ question }) => `grant is ${question.grant.from}`,
    wanted: listed(wanted),
  }
}

/** `time:` by the clock on the wall. */
export const byTime: Maker<'time'> = ({ is, windows, zone }) => {
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

/** `in_transaction:` whether one is open. */
export const byTransaction: Maker<'inTransaction'> = wanted => ({
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
