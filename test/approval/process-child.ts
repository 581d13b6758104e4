/**
 * Another process on the same file. Arguments: the file, and what to do. `take` and `approve` read lines of a
 * round's text or id and a time to start at, and answer each with a line; `work` files, approves and takes for
 * ever, telling of each on stdout once it is done.
 */
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { Approvals, bindingOf } from '../../src/approval/index.ts'
import { asDbgateError } from '../../src/errors.ts'
import { HoldStore } from '../../src/store/index.ts'
import { ben, bound, filing, kim, MemoryLog, p1, taker, voter } from './builders.ts'

const [file = '', what = '', name = ''] = process.argv.slice(2)
const clock = {
  now: Date.now,
  after: (ms: number, run: () => void) => {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}
const store = HoldStore.open(file, { busyMs: 5000 })
const approvals = new Approvals({ store, clock, log: new MemoryLog(), random: randomBytes })
const tell = (line: string) => writeSync(1, `${line}\n`)
const approver = voter(name === 'kim' ? kim : ben)

async function round(subject: string): Promise<string> {
  if (what === 'take') return approvals.holds.take(bindingOf(bound(subject)), taker()).outcome
  try {
    const { request } = await approvals.decide({ id: subject, vote: 'approve' }, approver, p1)
    return request.state
  } catch (error) {
    return asDbgateError(error).code
  }
}

async function work(): Promise<never> {
  for (let n = 0; ; n++) {
    const text = `DELETE FROM t${process.pid} WHERE id = ${n}`
    const { id } = approvals.holds.file(filing(text)).hold
    await approvals.decide({ id, vote: 'approve' }, voter(ben), p1)
    tell(`approved ${id} ${text}`)
    tell(`${approvals.holds.take(bindingOf(bound(text)), taker()).outcome} ${id} ${text}`)
  }
}

if (what === 'work') await work()
tell('ready')
for await (const line of createInterface({ input: process.stdin })) {
  const [at = '', ...words] = line.split(' ')
  // Both start in the same millisecond: a timer would not.
  while (Date.now() < Number(at));
  tell(await round(words.join(' ')))
}
store.close()
