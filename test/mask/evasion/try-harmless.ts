import { startBareGate } from '../../helpers/bare-gate.ts'
import { attack } from './attack.ts'
import { ROLES_PASSWORD, startBase } from './base.ts'
import { harmlessCases } from './corpus.ts'
import { differences } from './harmless.ts'
import { corpusMasks } from './policy.ts'

/** Plays the queries of every day by hand and prints what is different: `node test/mask/evasion/try-harmless.ts [ID …]`. */
const ids = process.argv.slice(2)
const base = await startBase()
const plain = await base.copyFor({ id: 'plain' })
const behind = await base.copyFor({ id: 'behind' })
const gate = await startBareGate(behind, {
  login: { user: 'agent', password: ROLES_PASSWORD },
  may: ['read', 'write', 'ddl'],
  policy: { masks: await corpusMasks() },
})
const elsewhere = async () => {}
const oidOf = async () => 0
const server = base.upstream.port
let different = 0
for (const one of harmlessCases().filter(({ id }) => ids.length === 0 || ids.includes(id))) {
  const played = { ...one, protocol: one.params === undefined ? 'simple' : 'extended' }
  const scene = { server, user: 'agent', elsewhere, oidOf }
  const direct = await attack(played, { ...scene, port: server, database: plain.name })
  const gated = await attack(played, { ...scene, port: gate.port, database: behind.name })
  const found = differences(one, direct.frames, gated.frames)
  if (found.length === 0) continue
  different += 1
  console.log(`${one.id} ${one.from}\n   ${one.sql.at(-1)?.slice(0, 300).replace(/\s+/g, ' ')}`)
  for (const each of found) console.log(`   -> ${each.slice(0, 300)}`)
}
console.log(`${different} different`)
await gate.close()
await base.teardown(plain, {})
await base.teardown(behind, {})
await base.close()
