import type { AccessEntry, May, PolicyDocument } from '../config/index.ts'
import type { Principal } from '../identity/index.ts'
import { type Approval, combineApprovals } from './approval.ts'
import { byStrength, isAmong } from './grant.ts'

/** A role that somebody can ask for. Units: `maxMs` is the longest they can have it. */
export type Requestable = {
  readonly target: string
  readonly role: string
  readonly may: readonly May[]
  readonly maxMs: number
  readonly reason: 'required' | 'optional'
  readonly approve: Approval
  readonly notify: readonly string[]
  readonly at: readonly string[]
}

/** A role that somebody can take in an emergency, without anybody's approval. */
export type BreakGlass = {
  readonly target: string
  readonly role: string
  readonly may: readonly May[]
  readonly maxMs: number
  readonly reason: 'required' | 'optional'
  readonly notify: readonly string[]
  readonly reviewWithinMs: number
  /** Groups that look at it afterwards: those that could have approved it. */
  readonly reviewers: readonly string[]
  readonly at: readonly string[]
}

/** What a principal can ask for: on the list of `may_request`, and with an entry in `access` that says who approves. */
export function requestableBy(
  document: PolicyDocument,
  principal: Principal,
): readonly Requestable[] {
  const wanted = new Map<string, { target: string; role: string }>()
  for (const entry of document.people) {
    if (entry.mayRequest === undefined || !isAmong(entry, principal)) continue
    for (const [target, roles] of Object.entries(entry.mayRequest)) {
      for (const role of roles) wanted.set(`${target}\0${role}`, { target, role })
    }
  }
  return [...wanted.values()]
    .flatMap(({ target, role }) => {
      const may = mayOf(document, role)
      const entries = entriesFor(document, target, role)
      const terms = entries.flatMap(({ approve }) => approve ?? [])
      if (may === undefined || terms.length === 0) return []
      const approving = entries.filter(({ approve }) => approve !== undefined)
      return {
        target,
        role,
        may,
        maxMs: Math.min(...terms.map(({ maxMs }) => maxMs)),
        reason: reasonOf(approving),
        approve: combineApprovals(terms.map(each => ({ rule: 'access', terms: each }))),
        notify: [...new Set(approving.flatMap(({ notify }) => notify ?? []))].sort(),
        at: approving.map(({ at }) => at),
      }
    })
    .sort(byStrength)
}

/** What a principal can take at once. */
export function breakGlassFor(
  document: PolicyDocument,
  principal: Principal,
): readonly BreakGlass[] {
  const open = (document.access ?? []).filter(({ breakGlass }) =>
    breakGlass?.for.some(group => principal.groups.includes(group)),
  )
  const found = new Map<string, BreakGlass>()
  for (const { grant } of open) {
    for (const [target, roles] of Object.entries(grant)) {
      for (const role of roles) {
        const may = mayOf(document, role)
        const entries = open.filter(entry => isFor(entry, target, role))
        const terms = entries.flatMap(({ breakGlass }) => breakGlass ?? [])
        if (may === undefined) continue
        found.set(`${target}\0${role}`, {
          target,
          role,
          may,
          maxMs: Math.min(...terms.map(({ maxMs }) => maxMs)),
          reason: reasonOf(entries),
          notify: [...new Set(terms.flatMap(({ notify }) => notify))].sort(),
          reviewWithinMs: Math.min(...terms.map(({ reviewWithinMs }) => reviewWithinMs)),
          reviewers: approversOf(document, target, role),
          at: entries.map(({ at }) => at),
        })
      }
    }
  }
  return [...found.values()].sort(byStrength)
}

function entriesFor(document: PolicyDocument, target: string, role: string): AccessEntry[] {
  return (document.access ?? []).filter(entry => isFor(entry, target, role))
}

function approversOf(document: PolicyDocument, target: string, role: string): string[] {
  const groups = entriesFor(document, target, role).flatMap(({ approve }) => approve?.by ?? [])
  return [...new Set(groups)].sort()
}

function isFor({ grant }: AccessEntry, target: string, role: string): boolean {
  return Object.hasOwn(grant, target) && grant[target]?.includes(role) === true
}

function mayOf({ roles }: PolicyDocument, role: string): readonly May[] | undefined {
  return Object.hasOwn(roles, role) ? roles[role]?.may : undefined
}

function reasonOf(entries: readonly AccessEntry[]): 'required' | 'optional' {
  return entries.some(({ reason }) => reason === 'required') ? 'required' : 'optional'
}
