/** What dbgate knows of but doesn't do yet, or does under another name: refused with a reason, never ignored. */

import type { Path } from './yaml.ts'

/** Of what dbgate is to do one day. */
export const NOT_YET = 'not supported by this version yet'

/** Keys by their path; `*` stands for one step. */
const KEYS: Record<string, string> = {
  connections: 'this is called "targets"',
  'rules.*.then.mask': 'what is masked stands under masks',
  'server.store': NOT_YET,
  'server.health': NOT_YET,
  'issuers.*.session': NOT_YET,
  'issuers.*.groups_from': NOT_YET,
  'recording.results.masked': 'this is always so: what is recorded is what was shown',
  'recording.audit.file': 'the audit log is kept under server.state',
  'recording.audit.fail_closed': 'this is always so: without the audit log no statement runs',
  'targets.*.mode': 'this stands in the policy, as mode: { prod: observe }',
  'targets.*.unknown': 'this stands in the policy, as unknown: { prod: hold }',
}

const SOURCES = ['vault', 'aws-iam', 'aws-secrets', 'gcp-secret', 'azure-kv']

/** Why a key that this version does not take is not taken, or undefined if nobody ever heard of it. */
export function laterKey(path: Path): string | undefined {
  for (const [pattern, reason] of Object.entries(KEYS)) {
    const steps = pattern.split('.')
    if (steps.length !== path.length) continue
    if (steps.every((step, index) => step === '*' || step === String(path[index]))) return reason
  }
  return undefined
}

/** Why a value that this version does not take is not taken, if there is more to say than what is expected. */
export function laterValue(path: Path, value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const key = path.at(-1)
  if (key === 'statements' && value === 'held-and-denied') return NOT_YET
  if (key === 'from' && SOURCES.includes(value)) return NOT_YET
  if (path.at(-2) === 'algorithms') {
    if (value.toLowerCase() === 'none') return 'algorithm none is refused: it is no signature'
    if (/^HS\d+$/i.test(value)) {
      return 'HS algorithms are refused: who can check such a token can also forge one'
    }
  }
  return undefined
}
