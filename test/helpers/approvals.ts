import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Approvals } from '../../src/approval/index.ts'
import type { AuditLog } from '../../src/record/index.ts'
import { HoldStore } from '../../src/store/index.ts'

/** Approvals over a store in a directory, as the server has them. */
export function openApprovals(
  directory: string,
  log: Pick<AuditLog, 'append' | 'note'>,
): { readonly approvals: Approvals; readonly close: () => void } {
  const store = HoldStore.open(join(directory, 'holds.sqlite'))
  const approvals = new Approvals({
    store,
    clock: {
      now: Date.now,
      after: (ms, run) => {
        const timer = setTimeout(run, ms)
        return () => clearTimeout(timer)
      },
    },
    log,
    random: randomBytes,
  })
  return { approvals, close: () => store.close() }
}
