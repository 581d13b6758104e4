// Holds a lock until it is killed.
import { withLock } from '../../src/identity/lock.ts'

const [path = ''] = process.argv.slice(2)
await withLock(path, async () => {
  process.stdout.write('held\n')
  await new Promise(resolve => setTimeout(resolve, 60_000))
})
