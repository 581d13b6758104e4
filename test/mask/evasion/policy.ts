import { loadPolicy, type PolicyMask } from '../../../src/config/index.ts'
import { withFiles } from '../../config/files.ts'

/**
 * The masks that the README of the corpus names, and patterns for what is a copy of them. Writing of them asks for a person, who never comes here.
 */
const MASKS = `version: 1
roles: { all: { may: [read] } }
people: [{ groups: [engineering], roles: { test: all } }]
masks:
  - { columns: [users.email], mask: hash, writes: { approve: { by: [dba] }, hold: 1s } }
  - { columns: [users.ssn, users.salary, users.dob], mask: redact, writes: { approve: { by: [dba] }, hold: 1s } }
  - { columns: [orders.card_number, cards.pan, cards.cvv, "*.ssn", "*.password_hash"], mask: redact, writes: { approve: { by: [dba] }, hold: 1s } }
`

let loaded: Promise<readonly PolicyMask[]> | undefined

/** The same for all who ask, so that what a refusal says of its place is the same too. */
export function corpusMasks(): Promise<readonly PolicyMask[]> {
  loaded ??= load()
  return loaded
}

async function load(): Promise<readonly PolicyMask[]> {
  const { policy } = await withFiles({ 'main.yaml': MASKS }, dir =>
    loadPolicy([`${dir}/main.yaml`]),
  )
  return policy.masks ?? []
}
