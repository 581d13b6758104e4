import { parseArgs } from 'node:util'
import { startBase } from './base.ts'
import { evasionCases } from './corpus.ts'
import { Player } from './scene.ts'
import { type Ending, outcomeOf } from './verdict.ts'

/**
 * Plays cases by hand: `node test/mask/evasion/try.ts [--direct] [--verbose] [--may read,write] [ID …]`. With
 * `--direct` nothing stands between, which shows that the attempts work at all.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    direct: { type: 'boolean' },
    verbose: { type: 'boolean' },
    may: { type: 'string', default: 'read,write,ddl,admin' },
    pg: { type: 'string', default: '18' },
  },
})
const may = values.direct ? undefined : values.may.split(',')
const base = await startBase(Number(values.pg))
const player = new Player(base, may)
const counts = new Map<Ending | 'broken', number>()
const count = (ending: Ending | 'broken') => counts.set(ending, (counts.get(ending) ?? 0) + 1)
const isWanted = (id: string) => positionals.length === 0 || positionals.includes(id)
for (const one of evasionCases().filter(({ id }) => isWanted(id))) {
  try {
    const { ending, lines, leak } = outcomeOf(one, await player.play(one))
    count(ending)
    const kind = one.control ? ' control' : one.infer ? ' infer' : ''
    console.log(`${one.id} ${ending}${kind} (${one.expect})`)
    if (leak !== undefined && may !== undefined) {
      console.log(`   ${JSON.stringify(one.sql)}\n   ${JSON.stringify(leak)}`)
    }
    if (values.verbose) console.log(lines.map(line => `   ${line.slice(0, 300)}`).join('\n'))
  } catch (thrown) {
    count('broken')
    console.log(`${one.id} broken: ${thrown}`)
  }
}
console.log(Object.fromEntries(counts))
await player.close()
await base.close()
