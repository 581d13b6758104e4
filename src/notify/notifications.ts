import type { ApprovalEvent } from '../approval/index.ts'
import type { NotifyChannel } from '../config/index.ts'
import { announcementOf } from './card.ts'
import { Channel, type ChannelOptions } from './channel.ts'

/** The time, epoch milliseconds, and a timer; `after` returns what cancels it. */
export type NotifyClock = {
  readonly now: () => number
  readonly after: (ms: number, run: () => void) => () => void
}

export type NotifyOptions = Omit<ChannelOptions, 'now' | 'after'> & {
  readonly channels: readonly NotifyChannel[]
  readonly clock: NotifyClock
}

/** All channels of a server. */
export class Notifications {
  readonly #options: ChannelOptions
  readonly #channels = new Map<string, Channel>()

  constructor({ channels, clock, ...rest }: NotifyOptions) {
    this.#options = { ...rest, now: clock.now, after: clock.after }
    this.configure(channels)
  }

  /** Replaces the channels. What waits for one that stays goes to its new address; the rest is given up. */
  configure(channels: readonly NotifyChannel[]): void {
    const names = new Set(channels.map(({ name }) => name))
    for (const [name, channel] of this.#channels) {
      if (names.has(name)) continue
      this.#channels.delete(name)
      void channel.close(0)
    }
    for (const config of channels) {
      const known = this.#channels.get(config.name)
      if (known === undefined) this.#channels.set(config.name, new Channel(config, this.#options))
      else known.config = config
    }
  }

  /** Queues what is to be told of an event, for each channel that its request names. Returns at once, never throws. */
  tell(event: ApprovalEvent): void {
    const { id, notify } = event.request
    try {
      if (notify.length === 0) return
      const card = announcementOf(event, this.#options.now())
      if (card === undefined) return
      for (const name of new Set(notify)) this.#push(name, card)
    } catch {
      // Whoever decided must not hear of it. The error's text is not reported: it could quote the statement.
      const why = 'the message could not be made'
      this.#options.report({ channel: notify.join(', '), what: 'given-up', why, request: id })
    }
  }

  #push(name: string, card: Parameters<Channel['push']>[0]): void {
    const channel = this.#channels.get(name)
    if (channel !== undefined) channel.push(card)
    else {
      const why = 'there is no such channel in dbgate.yaml'
      this.#options.report({ channel: name, what: 'given-up', why, request: card.id })
    }
  }

  /** Tries what waits once more, for as long as `graceMs`, and ends. What is left then is reported. */
  async close(graceMs: number): Promise<void> {
    await Promise.all([...this.#channels.values()].map(channel => channel.close(graceMs)))
  }
}
