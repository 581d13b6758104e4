import assert from 'node:assert/strict'
import { type Base, startBase } from './evasion/base.ts'
import { type Case, ownCases } from './evasion/corpus.ts'
import { Player } from './evasion/scene.ts'
import { type Outcome, outcomeOf } from './evasion/verdict.ts'

/** What a role under masks may do at most. */
const MAY = ['read', 'write', 'ddl']

/** What stays readable, and why no mask of columns could help. */
const READABLE: Readonly<Record<string, string>> = {
  X226: 'a trigger of the owner’s puts the value into a column that no mask names',
}

/** How many attempts are played at the same time: each has a database and a gate of its own. */
const PLAYERS = 4

type Played = Outcome | { readonly thrown: unknown }

describe('evasion, attempts of our own', () => {
  const attempts = ownCases().filter(({ id }) => READABLE[id] === undefined)
  const played = new Map<string, Played>()
  let base: Base
  before(async function () {
    this.timeout(170_000)
    base = await startBase()
    await playAll(base, MAY, attempts, played)
  })
  after(() => base.close())

  for (const one of attempts) {
    it(`gives nothing away: ${one.id} ${one.class}, ${titleOf(one)}`, () => {
      const found = played.get(one.id)
      assert.ok(
        found !== undefined && !('thrown' in found),
        String(found && 'thrown' in found && found.thrown),
      )
      assert.equal(found.leak, undefined)
      assert.notEqual(found.ending, 'leaked')
    })
  }

  it('would show values without a gate, or it would prove nothing', async function () {
    this.timeout(60_000)
    const direct = new Map<string, Played>()
    // One in twelve of them, so that it is over soon; all of them have been seen to.
    const some = attempts.filter((_, i) => i % 12 === 0)
    await playAll(base, undefined, some, direct)
    const endings = some.map(({ id }) => {
      const found = direct.get(id)
      return [id, found !== undefined && 'ending' in found ? found.ending : 'broken']
    })
    assert.deepEqual(
      endings,
      some.map(({ id }) => [id, 'leaked']),
    )
  })
})

function titleOf({ note, sql }: Case): string {
  return note === '' ? (sql[0] ?? '').slice(0, 60) : note
}

/** Plays cases, a few at a time; `may` undefined: nothing stands between. */
async function playAll(
  base: Base,
  may: readonly string[] | undefined,
  cases: readonly Case[],
  played: Map<string, Played>,
): Promise<void> {
  const player = new Player(base, may)
  const left = [...cases]
  const work = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) {
      try {
        played.set(one.id, outcomeOf(one, await player.play(one)))
      } catch (thrown) {
        played.set(one.id, { thrown })
      }
    }
  }
  await Promise.all(Array.from({ length: PLAYERS }, work))
  await player.close()
}
