import { boolean } from '@oclif/core/flags'
import type { Profile } from '../src/identity/index.ts'
import { visible } from '../src/terminal.ts'
import { closeRunning, listRunning } from '../src/tunnel/index.ts'
import { ask } from './ask.ts'
import { BaseCommand } from './base.ts'
import { dirsOf, notSignedIn, openProfile, profileNameOf, runDirectory } from './signed-in.ts'
import { clockTime } from './times.ts'

type SignedOut = {
  readonly server: string
  readonly tunnels_closed: number
  readonly revoked: boolean
  readonly why?: string | undefined
  readonly valid_until?: string
}

export default class Logout extends BaseCommand {
  static override summary = 'sign out, close its tunnels and revoke the sign-in'
  static override examples = ['dbgate logout', 'dbgate logout --all']
  static override flags = {
    all: boolean({ description: 'sign out of every server' }),
    yes: boolean({ char: 'y', description: 'do not ask about open tunnels' }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(Logout)
    const { openProfiles } = await import('../src/identity/index.ts')
    const profiles = openProfiles((await dirsOf(this.io)).config)
    const name = flags.server === undefined ? undefined : profileNameOf(flags.server)
    const one = await profiles.get(name)
    const chosen = flags.all ? await profiles.list() : one === undefined ? [] : [one]
    if (chosen.length === 0) throw notSignedIn(name)
    const done: SignedOut[] = []
    for (const profile of chosen) {
      const out = await this.#signOut(profile, flags.yes || !this.mayAsk(flags))
      if (out !== undefined) done.push(out)
    }
    this.result(flags.json, flags.all ? done : done[0], () => {
      for (const out of done) this.#print(out)
    })
  }

  async #signOut(profile: Profile, isSure: boolean): Promise<SignedOut | undefined> {
    const { io } = this
    const dirs = await dirsOf(io)
    const running = (await listRunning(runDirectory(dirs))).filter(
      one => one.server === profile.name,
    )
    if (running.length > 0 && !isSure) {
      const targets = visible(running.map(tunnel => tunnel.target).join(', '))
      const answer = await ask(io, `This closes ${targets}. Sign out of ${profile.name}? [y/N]`)
      if (!/^y(es)?$/i.test(answer)) return undefined
    }
    for (const tunnel of running) await closeRunning(runDirectory(dirs), tunnel)
    const { signIn } = await openProfile(io, profile)
    const stored = await signIn.stored()
    const { revoked, why } = await signIn.end()
    return {
      server: profile.name,
      tunnels_closed: running.length,
      revoked,
      why,
      ...(stored === undefined ? {} : { valid_until: new Date(stored.expiresAt).toISOString() }),
    }
  }

  #print(out: SignedOut): void {
    const { terminal, io } = this
    const { marks, paint } = terminal
    const count = out.tunnels_closed
    const closed = count === 0 ? '' : ` ${count} tunnel${count === 1 ? '' : 's'} closed.`
    terminal.say(`${paint.green(marks.ok)} signed out of ${out.server}.${closed}`)
    if (out.revoked || out.valid_until === undefined) return
    const until = clockTime(Date.parse(out.valid_until), io.now())
    terminal.say(
      `${paint.yellow(marks.note)} deleted here, but not revoked (${visible(out.why ?? 'unknown reason')}); it stays valid until ${until}`,
    )
  }
}
