import { readFile } from 'node:fs/promises'
import { text as readAll } from 'node:stream/consumers'
import { string as arg } from '@oclif/core/args'
import { boolean, string } from '@oclif/core/flags'
import {
  createApiClient,
  type Discovery,
  isUntrusted,
  type LoginOffer,
  parsePin,
  parseServerUrl,
  peekFingerprint,
  type ServerAddress,
  serverName,
  type Whoami,
} from '../src/api/index.ts'
import { DbgateError } from '../src/errors.ts'
import type { Profile, TokenSet } from '../src/identity/index.ts'
import { visible } from '../src/terminal.ts'
import { ask } from './ask.ts'
import { BaseCommand } from './base.ts'
import { usage } from './report.ts'
import { dirsOf, hasScreen, openProfile } from './signed-in.ts'
import { clockTime, parseSpan } from './times.ts'

/** How long somebody may take in the browser. A tool that runs us gives up after a minute, so we do before. */
const PATIENCE = '5m'
const PATIENCE_UNATTENDED = '45s'
const MAX_TOKEN_BYTES = 64 * 1024

/** Flags that choose the way to sign in. */
type WayFlags = {
  readonly device: boolean
  readonly 'no-browser': boolean
  readonly 'token-stdin': boolean
  readonly 'token-file': string | undefined
  readonly timeout: string | undefined
}

type Obtained = { readonly kind: 'browser' | 'device' | 'token'; readonly tokens: TokenSet }

export default class Login extends BaseCommand {
  static override summary = 'sign in to a server, in the browser or by code'
  static override description =
    'The server names its identity provider; the sign-in is your own and is kept in the system keychain. It renews itself while in use.\nA server with a certificate of its own is known by its fingerprint, which dbgate serve prints. Without --fingerprint it is shown to you once, to compare.'
  static override examples = [
    'dbgate login bastion.acme.dev',
    'dbgate login bastion.acme.dev --device        a code to type on another device',
    'dbgate login 10.0.0.7:6598 --fingerprint sha256:4f1c...',
    'fetch-token | dbgate login bastion.acme.dev --token-stdin',
  ]
  static override args = { host: arg({ description: 'host, host:port or https URL' }) }
  static override flags = {
    device: boolean({ description: 'show a code to type in a browser on another device' }),
    'no-browser': boolean({ description: 'print the link and open nothing' }),
    'token-stdin': boolean({ description: 'read an ID token from stdin' }),
    'token-file': string({ description: 'read an ID token from a file', helpValue: 'FILE' }),
    fingerprint: string({ description: "SHA-256 of the server's certificate", helpValue: 'HEX' }),
    issuer: string({ description: 'which of several identity providers', helpValue: 'NAME' }),
    timeout: string({ description: `how long to wait (${PATIENCE})`, helpValue: 'TIME' }),
    new: boolean({ description: 'sign in again although already signed in' }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Login)
    const { openProfiles } = await import('../src/identity/index.ts')
    const profiles = openProfiles((await dirsOf(this.io)).config)
    const url = await this.#url(args.host ?? flags.server, (await profiles.get())?.url, flags)
    const known = await profiles.get(new URL(url).host)
    const pin = flags.fingerprint === undefined ? known?.pin : parsePin(flags.fingerprint)
    const isNew = flags.new || flags.fingerprint !== undefined || hasToken(flags)
    const stillMe = known === undefined || isNew ? undefined : await this.#stillSignedIn(known)
    if (known !== undefined && stillMe !== undefined) {
      await profiles.use(known.name)
      return this.#print(flags.json, { url, pin }, stillMe, 'kept')
    }
    const { server, discovery } = await this.#discover({ url, pin }, this.mayAsk(flags))
    const offer = chooseOffer(discovery.login, flags.issuer, serverName(server))
    const { kind, tokens } = await this.#tokens(offer, flags)
    const api = createApiClient({ server, token: async () => tokens.token })
    // Asked before anything is stored: a sign-in that the server refuses must not replace one that works.
    const me = await api.whoami()
    await this.#store(server, offer, tokens, known)
    this.#print(flags.json, server, me, kind)
  }

  /** The person, or undefined where the sign-in has ended and a new one is needed. */
  async #stillSignedIn(profile: Profile): Promise<Whoami | undefined> {
    try {
      const { api } = await openProfile(this.io, profile)
      return await api.whoami()
    } catch (error) {
      // A keychain that is gone is a reason to sign in again, too.
      const isOver =
        error instanceof DbgateError && ['UNAUTHORIZED', 'INTERNAL'].includes(error.code)
      if (isOver) return undefined
      throw error
    }
  }

  async #url(
    given: string | undefined,
    lastUsed: string | undefined,
    flags: { readonly 'no-input': boolean; readonly json: boolean },
  ): Promise<string> {
    if (given !== undefined) return parseServerUrl(given)
    if (lastUsed !== undefined) return lastUsed
    if (!this.mayAsk(flags)) {
      throw new DbgateError('USAGE', 'which server?', {
        next: ['dbgate login bastion.example.com'],
      })
    }
    return parseServerUrl(await ask(this.io, 'Which server?'))
  }

  /** Asks the server who signs people in; shows a certificate that nobody vouches for to a person first. */
  async #discover(
    server: ServerAddress,
    mayAsk: boolean,
  ): Promise<{ readonly server: ServerAddress; readonly discovery: Discovery }> {
    const discover = async (address: ServerAddress) => ({
      server: address,
      discovery: await createApiClient({ server: address, token: async () => '' }).discover(),
    })
    try {
      return await discover(server)
    } catch (error) {
      if (!isUntrusted(error) || server.pin !== undefined) throw error
      const pin = await peekFingerprint(server)
      if (!mayAsk) throw untrusted(server, pin, error)
      this.terminal.say(`${serverName(server)} has a certificate that no authority vouches for.`)
      this.terminal.say(`  its fingerprint: sha256:${pin}`)
      const answer = await ask(this.io, 'Is that the one your admin gave you? [y/N]')
      if (!/^y(es)?$/i.test(answer)) throw untrusted(server, pin, error)
      return discover({ ...server, pin })
    }
  }

  /** Gets the tokens the way that was asked for, or the way that fits this terminal. */
  async #tokens(offer: LoginOffer, flags: WayFlags): Promise<Obtained> {
    const { io } = this
    const { loginWithToken } = await import('../src/identity/index.ts')
    const file = flags['token-file']
    if (file !== undefined || flags['token-stdin']) {
      const text = file === undefined ? await readAll(io.stdin) : await readToken(file)
      return { kind: 'token', tokens: loginWithToken(text, { now: io.now }) }
    }
    const isAttended = io.stdin.isTTY === true
    const patience = flags.timeout ?? (isAttended ? PATIENCE : PATIENCE_UNATTENDED)
    const timeoutMs = parseSpan(patience)
    if (timeoutMs === undefined)
      throw usage(`not a time: ${patience}`, 'login', 'Such as 30s or 5m.')
    const waiting = `Waiting for you to finish there ... (${patience}, ^C to stop)`
    const isAutomatic = isAttended && offer.device && !flags['no-browser'] && !hasScreen(io)
    if (flags.device && !offer.device) throw deviceOff()
    return flags.device || isAutomatic
      ? { kind: 'device', tokens: await this.#byCode(offer, timeoutMs, waiting) }
      : { kind: 'browser', tokens: await this.#inBrowser(offer, timeoutMs, waiting, flags) }
  }

  async #byCode(offer: LoginOffer, timeoutMs: number, waiting: string): Promise<TokenSet> {
    const { io, terminal } = this
    const { loginWithDevice } = await import('../src/identity/index.ts')
    return loginWithDevice(offer, {
      now: io.now,
      timeoutMs,
      onCode: code => {
        terminal.say(`On any device open   ${visible(code.completeUrl ?? code.url)}`)
        terminal.say(`and enter            ${visible(code.code)}`)
        terminal.say(waiting)
      },
    })
  }

  async #inBrowser(
    offer: LoginOffer,
    timeoutMs: number,
    waiting: string,
    flags: WayFlags,
  ): Promise<TokenSet> {
    const { io, terminal } = this
    const { loginInBrowser, openInBrowser } = await import('../src/identity/index.ts')
    return loginInBrowser(offer, {
      now: io.now,
      timeoutMs,
      onUrl: link => {
        const opens = !flags['no-browser'] && hasScreen(io)
        terminal.say(`${opens ? 'Opening your browser' : 'Open in your browser'}: ${visible(link)}`)
        terminal.say(waiting)
        // The link is printed either way: an opener may succeed where nobody sees its window.
        if (opens) void openInBrowser(link, { platform: io.platform, env: io.env })
      },
    })
  }

  async #store(
    server: ServerAddress,
    offer: LoginOffer,
    tokens: TokenSet,
    known: Profile | undefined,
  ): Promise<void> {
    const { io } = this
    const { chooseKeychain, openProfiles, openSignIn } = await import('../src/identity/index.ts')
    const dir = (await dirsOf(io)).config
    // The place used before is tried first: the password of the local ports lies there too.
    const only = known?.keychain
    const chosen = await chooseKeychain({ dir, random: io.random, only }).catch(() =>
      chooseKeychain({ dir, random: io.random }),
    )
    const profile: Profile = {
      name: serverName(server),
      url: server.url,
      pin: server.pin,
      issuer: offer.issuer,
      clientId: offer.clientId,
      clientSecret: offer.clientSecret,
      scopes: offer.scopes,
      keychain: chosen.keychain.kind,
    }
    const { now, random } = io
    await openSignIn(profile, { keychain: chosen.keychain, dir, now, random }).save(tokens)
    await openProfiles(dir).save(profile)
    if (chosen.warning !== undefined) {
      this.terminal.say(`${this.terminal.paint.yellow(this.terminal.marks.note)} ${chosen.warning}`)
    }
  }

  #print(isJson: boolean, server: ServerAddress, me: Whoami, kind: string): void {
    const { terminal, io } = this
    const names = me.targets.map(target => target.name)
    const answer = {
      server: server.url,
      user: { email: me.user, name: me.name, groups: me.groups },
      expires_at: new Date(me.expiresAt).toISOString(),
      kind,
      targets: names,
    }
    this.result(isJson, answer, () => {
      const { marks, paint } = terminal
      const groups = me.groups.length === 0 ? '' : ` ${marks.dot} ${me.groups.join(', ')}`
      terminal.say(`${paint.green(marks.ok)} ${visible(`${me.name} (${me.user})${groups}`)}`)
      terminal.say(`  until ${clockTime(me.expiresAt, io.now())}, renews itself while in use`)
      if (names.length === 0) {
        terminal.say('  no target is open to you; your admin can see why')
        return
      }
      terminal.say(
        `  ${names.length} target${names.length === 1 ? '' : 's'}: ${visible(names.join('  '))}`,
      )
      terminal.say(`  ${marks.next} dbgate connect ${visible(names[0] ?? '')}`)
    })
  }
}

function hasToken(flags: WayFlags): boolean {
  return flags['token-stdin'] || flags['token-file'] !== undefined
}

function chooseOffer(
  offers: readonly LoginOffer[],
  wanted: string | undefined,
  server: string,
): LoginOffer {
  const names = offers.map(offer => offer.name).join(', ')
  const offer = wanted === undefined ? offers[0] : offers.find(({ name }) => name === wanted)
  if (offer === undefined) {
    const what = wanted === undefined ? 'offers no sign-in for people' : `has no issuer "${wanted}"`
    throw new DbgateError('USAGE', `${server} ${what}`, {
      detail:
        names === '' ? 'Its configuration has no issuer of kind people.' : `It has: ${names}.`,
    })
  }
  if (wanted === undefined && offers.length > 1) {
    throw new DbgateError('USAGE', `${server} has several identity providers: ${names}`, {
      next: [`dbgate login ${server} --issuer ${offer.name}`],
    })
  }
  return offer
}

async function readToken(file: string): Promise<string> {
  const content = await readFile(file, 'utf8').catch(cause => {
    throw new DbgateError('USAGE', `cannot read ${file}`, { cause })
  })
  if (content.length > MAX_TOKEN_BYTES) throw new DbgateError('USAGE', `${file} holds no token`)
  return content
}

function deviceOff(): DbgateError {
  return new DbgateError('UNAUTHORIZED', 'this server does not allow sign-in by code', {
    detail: 'Its configuration has device_login: false.',
    next: ['dbgate login   (on a machine with a browser)'],
  })
}

function untrusted(server: ServerAddress, pin: string, cause: unknown): DbgateError {
  return new DbgateError('UNREACHABLE', `cannot verify the certificate of ${serverName(server)}`, {
    detail: `No authority known here vouches for it. Compare its fingerprint with what dbgate serve printed: sha256:${pin}`,
    next: [`dbgate login ${serverName(server)} --fingerprint sha256:${pin}`],
    cause,
  })
}
