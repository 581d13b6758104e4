import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'

// The table of design.md, lowest rank first; what stands on one line are siblings.
const RANKS = `src/errors.ts src/terminal.ts
  src/wire src/sql src/record src/identity src/config
  src/store src/replay
  src/policy
  src/mask src/approval
  src/gate src/api src/notify src/keeping.ts
  src/serve.ts src/tunnel src/demo src/ui src/inspect
  commands`
  .split('\n')
  .map(line => line.trim().split(' '))
const PURE = /^src\/(wire|sql|policy|mask|approval)\/(?!.*(parser|worker))/ // the parser is WebAssembly
const OUTSIDE = /^node:(net|tls|https?|http2|dns|dgram|fs|fs\/promises|os|child_process)$/
const AMBIENT = /\b(Date\.now|new Date\(\)|Math\.random|randomBytes|process\.env)\b/g

type Import = { readonly from: string; readonly to: string }
const root = resolve(import.meta.dirname, '..')
const files = ['src', 'commands'].flatMap(folder => {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return names.filter(name => name.endsWith('.ts')).map(name => join(folder, name))
})
const code = (file: string) =>
  readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*/g, '')
const named = (file: string) =>
  [...code(file).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)].map(match => match[1] ?? '')
const unit = (file: string) => RANKS.flat().find(u => file === u || file.startsWith(`${u}/`)) ?? ''
const rank = (file: string) => RANKS.findIndex(units => units.includes(unit(file)))
const importsOf = (from: string): Import[] => {
  const local = named(from).filter(to => to.startsWith('.'))
  return local.map(to => ({ from, to: relative(root, resolve(root, dirname(from), to)) }))
}
const crossing = files.flatMap(importsOf).filter(({ from, to }) => unit(from) !== unit(to))
const FORBIDDEN: Readonly<Record<string, (one: Import) => boolean>> = {
  'upwards or sideways': ({ from, to }) => rank(to) >= rank(from),
  'past an index.ts': ({ to }) => !RANKS.flat().includes(to) && basename(to) !== 'index.ts',
  'from commands into wire, sql or gate': ({ from, to }) =>
    unit(from) === 'commands' && ['src/wire', 'src/sql', 'src/gate'].includes(unit(to)),
}

describe('layers', () => {
  it('has a place for every source file', () =>
    assert.deepEqual(
      files.filter(file => rank(file) < 0),
      [],
    ))

  for (const [what, isWrong] of Object.entries(FORBIDDEN)) {
    it(`has no import ${what}`, () => assert.deepEqual(crossing.filter(isWrong), []))
  }

  it('has no import cycles', () => {
    const done = new Set<string>()
    const visit = (file: string, path: readonly string[]): void => {
      assert.ok(!path.includes(file), [...path, file].join(' -> '))
      if (!done.has(file)) for (const { to } of importsOf(file)) visit(to, [...path, file])
      done.add(file)
    }
    for (const file of files) visit(file, [])
  })

  it('keeps sockets, files, clock, chance and environment out of the pure ranks', () => {
    const touched = (file: string) =>
      named(file)
        .filter(to => OUTSIDE.test(to))
        .concat(code(file).match(AMBIENT) ?? [])
    const pure = files.filter(file => PURE.test(file) && touched(file).length > 0)
    assert.deepEqual(
      pure.map(file => [file, ...touched(file)]),
      [],
    )
  })
})
