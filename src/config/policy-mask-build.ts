/** From entries of `masks:` to what the program uses. Everything here has been validated. */

import type { FilterEffect, MaskWord, PolicyMask } from './policy-document.ts'
import { buildEffect } from './policy-effects.ts'
import type { PolicyFile } from './policy-schema.ts'

type Written = PolicyFile['masks'][number]

/** One entry of `masks:`; `at` is where it stands. */
export function buildMask(written: Written, at: string): PolicyMask {
  const { on, roles, via, reveal = [], columns = [], values, domain, filters, writes } = written
  const labels = Object.entries(written.labels ?? {})
    .map(([label, mask]) => ({ label, mask: maskOf(mask, domain) }))
    .sort(byExactness)
  return {
    on,
    roles,
    via,
    reveal,
    labels,
    columns,
    values: values?.matches ?? [],
    mask: written.mask === undefined ? undefined : maskOf(written.mask, domain),
    filters: filters === undefined ? undefined : filterOf(filters),
    writes: writes === undefined ? undefined : buildEffect(writes),
    derived: written.derived,
    at,
  }
}

function maskOf(written: NonNullable<Written['mask']>, domain: string | undefined): MaskWord {
  if (typeof written !== 'string') {
    return { kind: 'keep', first: written.keep_first ?? 0, last: written.keep_last ?? 0 }
  }
  if (written === 'hash' || written === 'token') return { kind: 'token', domain }
  return { kind: written }
}

function filterOf(written: NonNullable<Written['filters']>): FilterEffect {
  return written === 'equality' ? { does: 'equality' } : buildEffect(written)
}

type Labelled = { readonly label: string }

/** Labels without `*` first, then those with the most letters. */
function byExactness({ label: a }: Labelled, { label: b }: Labelled): number {
  return (
    Number(a.includes('*')) - Number(b.includes('*')) ||
    b.replaceAll('*', '').length - a.replaceAll('*', '').length ||
    (a < b ? -1 : a > b ? 1 : 0)
  )
}
