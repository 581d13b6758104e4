import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { hmac } from '../../src/mask/token.ts'
import { SEED } from '../helpers/seed.ts'

describe('hmac', () => {
  it(`is the HMAC-SHA-256 that Node computes (seed ${SEED})`, () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map(all => Buffer.from(all))
    const key = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(all => Buffer.from(all))
    fc.assert(
      fc.property(
        key,
        fc.constantFrom('', 'text\0'),
        bytes,
        bytes,
        (secret, prefix, one, other) => {
          const mine = hmac(secret, prefix)
          for (const message of [one, other]) {
            const theirs = createHmac('sha256', secret).update(prefix, 'latin1').update(message)
            assert.deepEqual(mine(message), theirs.digest())
          }
        },
      ),
      { seed: SEED, numRuns: 300 },
    )
  })
})
