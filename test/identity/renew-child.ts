// A CLI process of its own: renews the sign-in it finds when told to, and prints what it got.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { openKeychain, openProfiles, openSignIn } from '../../src/identity/index.ts'

const [dir = ''] = process.argv.slice(2)
const profile = await openProfiles(dir).get()
if (profile === undefined) throw new Error('no profile')
const keychain = await openKeychain(profile.keychain, dir)
const signIn = openSignIn(profile, { keychain, dir, now: Date.now, random: randomBytes })
process.stdout.write('ready\n')
await once(process.stdin, 'data')
const [tokens, password] = await Promise.all([signIn.current(), signIn.localPassword()])
const digest = createHash('sha256').update(`${tokens.token} ${password}`).digest('hex')
process.stdout.write(`${digest}\n`)
process.exit(0)
