/** What may stand under `recording:` in `dbgate.yaml`. */

import { z } from 'zod'
import { duration, integer, path, size } from './values.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const DAY = 86_400_000
const KiB = 1024
const MiB = 1024 * KiB

const results = z.strictObject({
  rows: integer(0, 10_000)
    .default(50)
    .describe('Rows of each statement that a replay can show; 0 for counts only. Default 50.'),
  bytes: size(KiB, 64 * MiB)
    .default(256 * KiB)
    .describe('The most of each statement, as it was sent. Default 256KiB.'),
})

const keep = z.strictObject({
  sessions: duration(DAY, 10_000 * DAY)
    .default(400 * DAY)
    .describe('How long a recording is kept. Default 400d.'),
  results: duration(DAY, 10_000 * DAY)
    .default(30 * DAY)
    .describe('How long the rows in it are kept. Default 30d.'),
})

const checkpoint = z.strictObject({
  every: duration(SECOND, DAY)
    .default(5 * MINUTE)
    .describe('How often, if there is anything new. Default 5m.'),
  to: path
    .refine(to => !/^[a-z][a-z0-9+.-]+:\/\//i.test(to), {
      error: 'buckets are not supported by this version yet: expected the path of a file',
    })
    .describe(
      'A file elsewhere: on a volume that who runs this server can add to, but not change.',
    ),
})

const audit = z.strictObject({
  fsync: z
    .union([z.literal('each'), duration(1, 60 * SECOND, 'ms and up')], {
      error: 'each, or a duration like 50ms, 1s or 1m',
    })
    .default(SECOND)
    .describe('When the log is forced to disk: after each statement, or this often. Default 1s.'),
  checkpoint: checkpoint
    .optional()
    .describe('Signed notes of how far the log has come, which show if its end is cut off.'),
})

/** The whole of `recording:`. */
export const recording = z.strictObject({
  statements: z
    .enum(['all', 'none'], { error: 'all or none' })
    .default('all')
    .describe('Sessions to record: all or none. The audit log has every statement in any case.'),
  parameters: z
    .enum(['masked', 'full', 'none'], { error: 'masked, full or none' })
    .default('masked')
    .describe('Values of parameters and literals that meet masked columns. Default masked.'),
  results: results.prefault({}).describe('How much of what was shown is recorded.'),
  keep: keep.prefault({}).describe('How long recordings are kept.'),
  required: z
    .boolean()
    .default(false)
    .describe('End sessions that cannot be recorded, such as on a full disk. Default false.'),
  audit: audit.prefault({}),
})
