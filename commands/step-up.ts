import { type ApiClient, createApiClient } from '../src/api/index.ts'
import { DbgateError } from '../src/errors.ts'
import { type Terminal, visible } from '../src/terminal.ts'
import type { Io } from './io.ts'
import { agentOf, dirsOf, hasScreen, profileNameOf } from './signed-in.ts'

const TIMEOUT_MS = 300_000

/**
 * Has somebody sign in once more in their browser, and returns the API with what that proves. It is used for this
 * one decision and not kept: the sign-in of before stays as it is.
 *
 * Throws: UNAUTHORIZED for a job, or when nobody finishes in time.
 */
export async function signInAfresh(
  io: Io,
  terminal: Terminal,
  server: string | undefined,
): Promise<ApiClient> {
  const { loginInBrowser, openInBrowser, openProfiles } = await import('../src/identity/index.ts')
  const name = server === undefined ? undefined : profileNameOf(server)
  const isJob = (io.env.DBGATE_TOKEN ?? '') !== ''
  const profile = isJob ? undefined : await openProfiles((await dirsOf(io)).config).get(name)
  if (profile === undefined) {
    throw new DbgateError('UNAUTHORIZED', 'only a person can sign in afresh, in a browser')
  }
  const tokens = await loginInBrowser(profile, {
    now: io.now,
    timeoutMs: TIMEOUT_MS,
    isFresh: true,
    onUrl: link => {
      const opens = hasScreen(io)
      terminal.say('This takes a fresh sign-in, to show that you are here.')
      terminal.say(`${opens ? 'Opening your browser' : 'Open in your browser'}: ${visible(link)}`)
      terminal.say('Waiting for you to finish there ... (5 min, ^C to stop)')
      if (opens) void openInBrowser(link, { platform: io.platform, env: io.env })
    },
  })
  return createApiClient({
    server: { url: profile.url, pin: profile.pin },
    sessions: new Map(),
    token: async () => tokens.token,
    agent: () => agentOf(io),
  })
}
