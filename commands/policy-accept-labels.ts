import { string as arg } from '@oclif/core/args'
import { string } from '@oclif/core/flags'
import { DbgateError } from '../src/errors.ts'
import { visible } from '../src/terminal.ts'
import { BaseCommand } from './base.ts'

export default class PolicyAcceptLabels extends BaseCommand {
  static override summary = 'let go of masks whose label or name is gone from the database'
  static override description =
    'A column that loses its label, or is renamed, stays masked until somebody accepts that. Without TARGET it lists what is gone.\nIt runs where the server keeps its state; a running server takes it up within a second.'
  static override usage = 'policy accept-labels [TARGET] --config FILE [flags]'
  static override examples = [
    'dbgate policy accept-labels --config /etc/dbgate/dbgate.yaml',
    'dbgate policy accept-labels prod --config /etc/dbgate/dbgate.yaml',
  ]
  static override args = {
    target: arg({ description: 'a target, or a target and a database as in prod/app' }),
  }
  static override flags = {
    config: string({
      description: "the server's file",
      env: 'DBGATE_CONFIG',
      helpValue: 'FILE',
      required: true,
    }),
  }

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(PolicyAcceptLabels)
    const { loadServerConfig } = await import('../src/config/index.ts')
    const { openMaskMemory } = await import('../src/inspect/index.ts')
    const { config } = await loadServerConfig(flags.config, this.io.env)
    const memory = openMaskMemory(config)
    const isMeant = (place: string) =>
      args.target === undefined || place === args.target || place.startsWith(`${args.target}/`)
    const gone = memory.gone().filter(({ place }) => isMeant(place))
    if (args.target !== undefined && gone.length === 0) {
      throw new DbgateError('NOT_FOUND', `nothing is gone on "${args.target}"`, {
        next: [`dbgate policy accept-labels --config ${flags.config}`],
      })
    }
    if (args.target !== undefined) for (const { place } of gone) memory.accept(place)
    const isAccepted = args.target !== undefined
    this.result(flags.json, { accepted: isAccepted, places: gone }, () => {
      const { terminal } = this
      const mark = isAccepted ? terminal.marks.ok : terminal.marks.note
      for (const { place, columns } of gone) {
        for (const { name, label } of columns) {
          const column = `${name.schema}.${name.relation}.${name.column}`
          const what = label === undefined ? 'is called that no more' : `has lost ${label}`
          const then = isAccepted ? 'no longer masked by it' : 'still masked'
          terminal.out(`${mark} ${visible(`${place}  ${column} ${what}: ${then}`)}`)
        }
      }
      if (gone.length === 0) terminal.out(`${terminal.marks.ok} nothing is gone`)
    })
  }
}
