import { string as arg } from '@oclif/core/args'
import { BaseCommand } from './base.ts'

export default class ServeSchema extends BaseCommand {
  static override summary = 'print the JSON Schema of a configuration file'
  static override examples = [
    'dbgate serve schema server > server.json',
    'dbgate serve schema policy',
  ]
  static override args = {
    file: arg({ description: 'server or policy', required: true, options: ['server', 'policy'] }),
  }
  static override flags = {}

  override async run(): Promise<void> {
    const { args } = await this.parse(ServeSchema)
    const { publishedSchemas } = await import('../src/config/index.ts')
    const { policy, server } = publishedSchemas()
    const schema = args.file === 'policy' ? policy : server
    this.terminal.out(JSON.stringify(schema, null, 2))
  }
}
