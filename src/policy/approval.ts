import type { ApproveTerms } from '../config/index.ts'

/** Persons that must agree: `need` of those in one of the groups `by`. `rule` is what asks for it. */
export type Requirement = {
  readonly rule: string
  readonly by: readonly string[]
  readonly need: number
}

/**
 * What an approval takes: every requirement has to be met, and one person can count for several. `by` is
 * everybody who has a say, `need` how many persons it takes at least; both are for people to read.
 */
export type Approval = {
  readonly requirements: readonly Requirement[]
  readonly by: readonly string[]
  readonly need: number
  readonly expiresMs: number
  readonly presence: 'step-up' | undefined
}

/** Somebody who has agreed. Whoever collects them leaves out the requester and counts each person once. */
export type Approver = { readonly groups: readonly string[] }

/** Makes one approval of several: as strict as all of them together. */
export function combineApprovals(
  asked: readonly { readonly rule: string; readonly terms: ApproveTerms }[],
): Approval {
  const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  return {
    requirements: asked
      .map(({ rule, terms }) => ({ rule, by: terms.by, need: terms.need }))
      .sort((a, b) => byName(a.rule, b.rule)),
    by: [...new Set(asked.flatMap(({ terms }) => terms.by))].sort(byName),
    need: Math.max(...asked.map(({ terms }) => terms.need)),
    expiresMs: Math.min(...asked.map(({ terms }) => terms.expiresMs)),
    presence: asked.some(({ terms }) => terms.presence === 'step-up') ? 'step-up' : undefined,
  }
}

/** The requirements that these approvers do not meet yet, each with how many persons it still takes. */
export function openRequirements(
  approval: Approval,
  approvers: readonly Approver[],
): readonly Requirement[] {
  return approval.requirements.flatMap(requirement => {
    const have = approvers.filter(({ groups }) =>
      groups.some(group => requirement.by.includes(group)),
    ).length
    return have >= requirement.need ? [] : [{ ...requirement, need: requirement.need - have }]
  })
}
