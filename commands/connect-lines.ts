import { type Terminal, visible } from '../src/terminal.ts'
import type { TunnelEvent } from '../src/tunnel/index.ts'

/** What is told of an open tunnel, line by line; the panel has its own ways. */
export type TunnelVoice = { tell(event: TunnelEvent): void }

/** One line on stderr for each event that a person may have to act on; clients come and go silently. */
export function plainVoice(terminal: Terminal, target: string): TunnelVoice {
  const name = visible(target)
  let isAway = false
  return {
    tell(event) {
      const { marks } = terminal
      switch (event.type) {
        case 'reconnecting':
          // The first attempt is soon; a line for each would fill a log over night.
          if (event.attempt === 2) {
            isAway = true
            terminal.say(`${name} ${marks.wait} server away, reconnecting`)
          }
          break
        case 'connected':
          if (isAway) terminal.say(`${name} connected again`)
          isAway = false
          break
        case 'refused':
          terminal.say(`${name} ${marks.no} ${visible(event.error.message)}`)
          break
        case 'sign-in-ended':
          terminal.say(
            `${name} ${marks.note} sign-in ended; new connections are refused ${marks.next} dbgate login`,
          )
          break
        case 'client-lost':
          terminal.say(`${name} ${marks.no} a client lost its connection`)
          break
        default:
      }
    },
  }
}

/** One JSON object on stdout for each event. */
export function jsonVoice(
  terminal: Terminal,
  now: () => number,
): TunnelVoice & {
  event(name: string, fields: object): void
} {
  const event = (name: string, fields: object): void => {
    terminal.out(JSON.stringify({ v: 1, event: name, t: new Date(now()).toISOString(), ...fields }))
  }
  return {
    event,
    tell(happened) {
      switch (happened.type) {
        case 'client-opened':
        case 'client-closed':
        case 'client-lost': {
          const state = happened.type.slice('client-'.length)
          return event('client', { state, application: happened.client.application })
        }
        case 'reconnecting': {
          const { attempt, nextMs } = happened
          return event('state', { state: 'reconnecting', attempt, next_s: nextMs / 1000 })
        }
        case 'connected':
          return event('state', { state: 'connected' })
        case 'refused': {
          const { code, message } = happened.error
          return event('refused', { code: code.toLowerCase(), message })
        }
        case 'sign-in-renewed':
          return event('auth', {
            state: 'renewed',
            until: new Date(happened.expiresAt).toISOString(),
          })
        case 'sign-in-ended':
          return event('auth', { state: 'ended' })
      }
    },
  }
}
