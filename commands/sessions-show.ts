import { string as arg } from '@oclif/core/args'
import type { SessionDetail } from '../src/api/index.ts'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'
import { lengthOf } from './sessions.ts'
import { openSignedIn } from './signed-in.ts'
import { clockTime } from './times.ts'

const MAX_NAMES = 8

export default class SessionsShow extends BaseCommand {
  static override summary = 'one session: whose, from where, what it touched and which rules fired'
  static override examples = ['dbgate sessions show s-8k2m', 'dbgate sessions show s-8k2m --json']
  static override args = {
    id: arg({ description: 'the id, or the start of it', required: true }),
  }
  static override flags = {}

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(SessionsShow)
    const { api } = await openSignedIn(this.io, flags.server)
    const session = await api.session(args.id)
    this.result(flags.json, session.raw, () => {
      for (const [name, text] of this.#facts(session)) {
        this.terminal.out(`${name.padEnd(11)} ${visible(text)}`.trimEnd())
      }
      this.terminal.say(`${this.terminal.marks.next} dbgate replay ${visible(session.id)}`)
    })
  }

  #facts(session: SessionDetail): readonly (readonly [string, string])[] {
    const { marks } = this.terminal
    const now = this.io.now()
    const dot = ` ${marks.dot} `
    const names = (list: SessionDetail['tables']): string => {
      const shown = list.slice(0, MAX_NAMES).map(({ name, count }) => `${name} ${count}`)
      const more = list.length > MAX_NAMES ? [`${list.length - MAX_NAMES} more`] : []
      return list.length === 0 ? '-' : [...shown, ...more].join(', ')
    }
    const { recording, reason, endedAt } = session
    const end = endedAt === undefined ? '' : `${dot}ended ${clockTime(endedAt, now)}`
    const why = reason === undefined ? '' : ` (${reason})`
    const { statements, failed, denied, held, rows } = session
    return [
      ['session', `${session.id}${session.isLive ? `${dot}running` : ''}`],
      ['who', `${session.user} via ${session.via}`],
      ['on', `${session.target} as ${session.role}`],
      ['client', `${session.application ?? '-'}${dot}${session.address ?? '-'}`],
      ['started', `${clockTime(session.startedAt, now)}${dot}${lengthOf(session)}${end}${why}`],
      [
        'statements',
        `${statements}, ${failed} failed, ${denied} denied, ${held} held, ${rows} rows`,
      ],
      ['tables', names(session.tables)],
      ['kinds', names(session.kinds)],
      ['rules', names(session.rules)],
      ['recording', recordingText(recording)],
    ]
  }
}

function recordingText(recording: SessionDetail['recording']): string {
  if (recording === undefined) return 'none is kept; the statements are in the audit log'
  const size = `${recording.bytes} bytes`
  return recording.isOpen ? `${size}, being written` : `${size}, sha256 ${recording.sha256 ?? '-'}`
}
