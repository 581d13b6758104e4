// Uses a keychain in a session of its own: node keychain-child.ts DIR KIND, or "choose" for KIND.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chooseKeychain, openKeychain } from '../../src/identity/index.ts'

const [dir = '', kind = ''] = process.argv.slice(2)
const account = 'bastion.acme.dev/ünïcode'
const secret = JSON.stringify({ token: 'x'.repeat(8000), name: 'Ünï\n"☂"' })

if (kind === 'choose') {
  const { keychain, warning, reasons } = await chooseKeychain({ dir, random: randomBytes })
  process.stdout.write(JSON.stringify({ kind: keychain.kind, warning, reasons }))
  process.exit(0)
}
if (kind !== 'keytar' && kind !== 'keyring' && kind !== 'file') throw new Error('which keychain?')

const keychain = await openKeychain(kind, dir)
assert.equal(await keychain.get(account), undefined)
assert.equal(await keychain.delete(account), false)
await keychain.set(account, 'first')
await keychain.set(account, secret)
const again = await openKeychain(kind, dir)
assert.equal(await again.get(account), secret)
assert.equal(await again.get('bastion.acme.dev'), undefined)
assert.equal(await again.delete(account), true)
assert.equal(await keychain.get(account), undefined)
process.stdout.write('ok')
process.exit(0)
