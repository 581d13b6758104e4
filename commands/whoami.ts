import { boolean } from '@oclif/core/flags'
import { pad, visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { openSignedIn } from './signed-in.ts'
import { clockTime, span } from './times.ts'

export default class Whoami extends BaseCommand {
  static override summary = 'who you are to the server, and what is open to you'
  static override examples = ['dbgate whoami', 'dbgate whoami --claims']
  static override flags = {
    claims: boolean({ description: 'what the ID token says, without its signature' }),
  }

  override async run(): Promise<void> {
    const { flags } = await this.parse(Whoami)
    const { name, api, signIn } = await openSignedIn(this.io, flags.server)
    const me = await api.whoami()
    const { terminal, io } = this
    if (flags.claims) {
      const { decodeClaims } = await import('../src/identity/index.ts')
      const claims = decodeClaims((await signIn.current()).token)
      this.result(flags.json, claims, () => {
        for (const line of JSON.stringify(claims, null, 2).split('\n')) terminal.out(visible(line))
      })
      return
    }
    const [grants, requestable] = await Promise.all([api.grants({ all: false }), api.requestable()])
    const answer = {
      server: name,
      user: { email: me.user, name: me.name, groups: me.groups },
      issuer: me.issuer,
      expires_at: new Date(me.expiresAt).toISOString(),
      targets: me.targets,
      grants: grants.map(({ raw }) => raw),
      may_request: requestable.map(({ target, role, maxMs, isBreakGlass }) => ({
        ...{ target, role, max_ms: maxMs, break_glass: isBreakGlass },
      })),
    }
    this.result(flags.json, answer, () => {
      const dot = ` ${terminal.marks.dot} `
      terminal.out(visible([me.user, me.name, name].join(dot)))
      terminal.out(`groups   ${me.groups.length === 0 ? '-' : visible(me.groups.join(', '))}`)
      terminal.out(`until    ${clockTime(me.expiresAt, io.now())}, renews itself while in use`)
      const names = me.targets.map(target => visible(target.name))
      const width = Math.max(0, ...names.map(text => text.length))
      me.targets.forEach((target, index) => {
        const may = `${visible(target.role)} (${visible(target.may.join(', '))})`
        terminal.out(
          `${index === 0 ? 'may' : '   '}      ${pad(names[index] ?? '', width)}  ${may}`,
        )
      })
      grants.forEach(({ connection, role, expiresAt, reason, decided }, index) => {
        const by = decided.map(each => each.by)
        const parts = [
          `${connection} ${role} until ${clockTime(expiresAt, io.now())}`,
          ...(reason === undefined ? [] : [reason]),
          ...(by.length === 0 ? [] : [`approved by ${by.join(', ')}`]),
        ]
        terminal.out(`${index === 0 ? 'grants' : '      '}   ${visible(parts.join(dot))}`)
      })
      requestable.forEach(({ target, role, maxMs, isBreakGlass }, index) => {
        const how = isBreakGlass ? ', in an emergency' : ''
        const text = `${target} ${role}, up to ${span(maxMs)}${how}`
        terminal.out(`${index === 0 ? 'can ask' : '       '}  ${visible(text)}`)
      })
      if (me.targets.length === 0) terminal.out('may      nothing yet; your admin can see why')
    })
  }
}
