import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Cli, person, type Said } from './cli.ts'

type Case = { readonly command: string; readonly expected: Said }

/** Reads the transcript; its first lines say how it is written. */
function cases(text: string): readonly Case[] {
  return text
    .split(/^\$ dbgate ?/m)
    .slice(1)
    .map(block => {
      const [command = '', ...lines] = block.replace(/\n+$/, '').split('\n')
      const exit = lines.find(line => /^exit \d+$/.test(line))
      const err = lines.filter(line => line.startsWith('2| ')).map(line => `${line.slice(3)}\n`)
      const out = lines.filter(line => !line.startsWith('2| ') && line !== exit)
      return {
        command,
        expected: {
          code: Number(exit?.slice(5) ?? 0),
          out: out.map(line => `${line}\n`).join(''),
          err: err.join(''),
        },
      }
    })
}

describe('the command line, without a server', () => {
  let cli: Cli
  before(async () => {
    cli = await person()
  })
  after(() => cli.close())

  for (const { command, expected } of cases(
    readFileSync(join(import.meta.dirname, 'offline.txt'), 'utf8'),
  )) {
    it(`dbgate ${command}`, async () => {
      const args = command.split(' ').filter(word => word !== '')
      assert.deepEqual(await cli.run(args), expected)
    })
  }

  it('ends quietly when nobody reads its output any more', async () => {
    const { child, ended } = cli.start(['help', 'exit-codes'])
    child.stdout?.destroy()
    assert.equal((await ended).code, 0)
  })

  it('prints its version', async () => {
    assert.match(
      (await cli.run(['--version'])).out,
      /^dbgate \d+\.\d+\.\d+ \(node \d+\.\d+\.\d+\)\n$/,
    )
  })

  it('uses ASCII where the locale has nothing else', async () => {
    const { err } = await cli.run(['ls'], { env: { LC_ALL: 'C' } })
    assert.equal(
      err,
      'x not signed in\n  -> dbgate login bastion.example.com\n  unauthorized - exit 4\n',
    )
  })
})
