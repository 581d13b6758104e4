import { readFileSync } from 'node:fs'

/** One step at the level of the protocol; see the README of the corpus. */
export type Step = {
  readonly q?: string
  readonly rawq?: string
  readonly P?: { readonly name?: string; readonly sql: string }
  readonly B?: {
    readonly portal?: string
    readonly stmt?: string
    readonly params?: readonly (string | null)[]
    readonly rfmts?: readonly number[]
  }
  readonly D?: { readonly kind: 'S' | 'P'; readonly name?: string }
  readonly E?: { readonly portal?: string; readonly max?: number }
  readonly C?: { readonly kind: 'S' | 'P'; readonly name?: string }
  readonly S?: number
  readonly F?: { readonly fn?: string; readonly oid?: number; readonly args: readonly string[] }
  readonly other?: string
  readonly role?: string
  readonly keep?: boolean
  readonly reconnect?: number
}

/** An attempt to get at a masked value, seen to work on an unprotected PostgreSQL. */
export type Case = {
  readonly id: string
  readonly class: string
  readonly note: string
  readonly expect: string
  readonly setup?: string | readonly string[]
  readonly attacker_setup?: boolean
  readonly setup_super?: string | readonly string[]
  readonly pre?: string
  readonly teardown?: string
  readonly sql: readonly string[]
  readonly steps?: readonly Step[]
  readonly protocol: string
  readonly params?: readonly (string | null)[]
  readonly startup?: Readonly<Record<string, string>>
  readonly role?: string
  readonly leaks: string
  readonly infer?: boolean
  readonly check?: string
  readonly control?: boolean
  readonly requires?: string
  readonly verified: boolean
}

/** A query of every day over the same schema, which must work as if nothing stood between. */
export type Harmless = {
  readonly id: string
  /** Who sends it: an ORM, a BI tool, psql. */
  readonly from: string
  readonly sql: readonly string[]
  readonly params?: readonly (string | null)[]
  /** The columns of its last result that are masked, by place; everything else comes as it is. */
  readonly masked?: readonly number[]
}

const CORPUS = new URL('../../corpus/', import.meta.url)

function lines<T>(name: string): readonly T[] {
  const text = readFileSync(new URL(name, CORPUS), 'utf8')
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(line => JSON.parse(line))
}

export const evasionCases = (): readonly Case[] => lines('evasion.jsonl')
/** What we have thought of ourselves, beside the shared corpus. */
export const ownCases = (): readonly Case[] => lines('evasion-own.jsonl')
export const harmlessCases = (): readonly Harmless[] => lines('harmless.jsonl')
export const schemaSql = (): string => readFileSync(new URL('evasion_schema.sql', CORPUS), 'utf8')

/** One text or several as a list. */
export function listOf(given: string | readonly string[] | undefined): readonly string[] {
  if (given === undefined) return []
  return typeof given === 'string' ? [given] : given
}
