import type { PolicyMask } from '../config/index.ts'
import type { Principal } from '../identity/index.ts'
import { isKnownAgent } from './agents.ts'
import { Words } from './patterns.ts'

/** What is masked for somebody: an entry of the policy's `masks:` that they are under. */
export type MaskRule = PolicyMask

/** Nothing is masked. One value, so that its identity can be asked for. */
export const NO_MASKS: readonly MaskRule[] = Object.freeze([])

/**
 * The masks of a role on a target for a principal: those that do not let one of their groups see the value.
 *
 * Masks for some tools only are among them: bindMasks takes away those of other tools, and who does not ask is
 * under all.
 */
export function masksFor(
  masks: readonly PolicyMask[],
  { groups }: Pick<Principal, 'groups'>,
  target: string,
  role: string,
): readonly MaskRule[] {
  const applying = masks.filter(
    ({ on, roles, reveal }) =>
      (on.includes('*') || on.includes(target)) &&
      (roles === undefined || roles.includes(role)) &&
      !reveal.some(group => groups.includes(group)),
  )
  return applying.length === 0 ? NO_MASKS : Object.freeze(applying)
}

/**
 * The masks among `masks` that bind a tool by its own word; undefined is a tool that says nothing. A tool can only
 * add masks by what it says. The same list where none is taken away.
 */
export function bindMasks(
  masks: readonly MaskRule[],
  agent: string | undefined,
): readonly MaskRule[] {
  const bound = masks.filter(({ via }) => via === undefined || isVia(via, agent))
  if (bound.length === masks.length) return masks
  return bound.length === 0 ? NO_MASKS : Object.freeze(bound)
}

function isVia(via: readonly string[], agent: string | undefined): boolean {
  if (agent === undefined || agent === '') return false
  const words = new Words(via)
  return words.has(agent) || (words.has('agent') && isKnownAgent(agent))
}
