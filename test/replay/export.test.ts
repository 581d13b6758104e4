import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportStory, type Format, formatOf, jsonLineOf } from '../../src/replay/index.ts'
import {
  complete,
  DANGEROUS,
  EVENTS,
  HOSTILE,
  hostileEvents,
  options,
  START,
  statement,
  storyOf,
} from './builders.ts'

function told(
  format: Exclude<Format, 'jsonl'>,
  events = EVENTS,
  more: Parameters<typeof options>[0] = {},
): string {
  return [...exportStory(format, storyOf(events), options(more))].join('')
}

const TAGS =
  /^(!doctype|\/?(html|head|meta|title|body|p|h1|div|button|select|option|input|span|label|main|ol|section|noscript))$/

const golden = (name: string) => readFileSync(join(import.meta.dirname, name), 'utf8')

describe('replay/export', function () {
  this.timeout(60_000)

  it('prints the transcript that is on file', () =>
    assert.equal(told('txt'), golden('transcript.txt')))

  it('writes the SQL file that is on file', () => assert.equal(told('sql'), golden('session.sql')))

  it('leaves out rows, and what was not selected', () => {
    const text = told('txt', EVENTS, { hasResults: false, only: ['denied'] })
    assert.ok(text.includes('DROP TABLE orders'))
    assert.ok(!text.includes('SELECT id'))
    assert.ok(!told('txt', EVENTS, { hasResults: false }).includes('a***@acme.dev'))
    assert.ok(!told('html', EVENTS, { hasResults: false }).includes('a***@acme.dev'))
    assert.ok(!told('cast', EVENTS, { hasResults: false }).includes('a***@acme.dev'))
  })

  it('begins where it is told to', () => {
    const text = told('txt', EVENTS, { from: 145_000 })
    assert.ok(!text.includes('DELETE FROM'))
    assert.ok(text.includes('DROP TABLE'))
  })

  it('writes an asciicast that a standard player reads', () => {
    const [header = '', ...lines] = told('cast').trimEnd().split('\n')
    const { version, width, height, timestamp, idle_time_limit, title } = JSON.parse(header)
    assert.deepEqual(
      { version, width, height, timestamp, idle_time_limit },
      { version: 2, width: 100, height: 30, timestamp: 1_772_373_000, idle_time_limit: 2 },
    )
    assert.equal(title, 's-8k2m4qxz · ana@acme.dev via claude · prod/app writer')
    let last = 0
    const kinds = new Set<string>()
    for (const line of lines) {
      const event: unknown = JSON.parse(line)
      assert.ok(Array.isArray(event) && event.length === 3)
      const [time, kind, text] = event
      assert.ok(typeof time === 'number' && time >= last && typeof text === 'string')
      assert.ok(kind === 'o' || kind === 'm', kind)
      last = time
      kinds.add(kind)
    }
    assert.equal(last, 170)
    assert.deepEqual([...kinds].toSorted(), ['m', 'o'])
    assert.ok(
      lines.some(line => line === '[31,"m","held s-8k2m4qxz.2"]'),
      lines.join('\n'),
    )
  })

  it('writes a page that asks nothing of any network and runs only its own script', () => {
    for (const page of [told('html'), told('html', hostileEvents())]) {
      const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(page)?.[1] ?? ''
      assert.match(policy, /^default-src &#39;none&#39;; script-src &#39;sha256-/)
      const inline = (name: string) =>
        [...page.matchAll(new RegExp(`<${name}>([\\s\\S]*?)</${name}>`, 'g'))].map(m => m[1] ?? '')
      const [script, ...more] = inline('script')
      assert.deepEqual(more, [])
      for (const [source = '', kind] of [
        [script, 'script-src'],
        [inline('style')[0], 'style-src'],
      ] as const) {
        const digest = createHash('sha256').update(source).digest('base64')
        assert.ok(policy.includes(`${kind} &#39;sha256-${digest}&#39;`), kind)
      }
      assert.equal(page.match(/<\/?script/g)?.length, 4)
      const markup = page.replaceAll(/<(script|style)[\s\S]*?<\/\1>/g, '')
      for (const [tag, name = ''] of markup.matchAll(/<([^\s>]*)[^>]*>?/g)) {
        assert.match(name, TAGS)
        assert.doesNotMatch(tag, /\s(src|href|on\w+|style|srcdoc)\s*=/)
      }
      assert.doesNotMatch(
        script ?? '',
        /innerHTML|insertAdjacent|document\.write|eval|fetch|import/,
      )
      new Function(script ?? '')
      const data = /<script type="application\/json" id="session">([\s\S]*?)<\/script>/.exec(page)
      assert.ok(JSON.parse(data?.[1] ?? '').entries.length > 2)
      assert.match(page, /Confidential: .*after masking · sha256 (ab){32}/)
    }
  })

  const formats = ['cast', 'html', 'sql', 'txt'] as const
  for (const format of formats) {
    it(`holds nothing that is obeyed, as ${format}`, () => {
      const text = told(format, hostileEvents())
      const lines = format === 'cast' ? shownByCast(text) : text
      assert.doesNotMatch(lines, DANGEROUS)
      assert.ok(text.includes('aGk='), 'what was hostile is shown')
    })

    it(`takes a statement of 10 MB, as ${format}`, () => {
      const sql = `select '${'x漢'.repeat(2_600_000)}'`
      const text = told(format, [START, statement(1, 1, sql), complete(2, 1, 'SELECT 1')])
      if (format !== 'cast') assert.ok(text.length > 5_000_000)
    })
  }

  it('keeps JSON what it was, and makes it inert', () => {
    for (const event of hostileEvents()) {
      const line = jsonLineOf(event)
      assert.deepEqual(JSON.parse(line), JSON.parse(JSON.stringify(event)))
      assert.doesNotMatch(line, DANGEROUS)
      assert.equal(line.indexOf('\n'), line.length - 1)
    }
  })

  const run = (sql: string, more: object = {}) =>
    told('sql', [START, statement(1, 1, sql, more), complete(2, 1, 'SELECT 1')])
      .split('\n')
      .filter(line => line !== '' && !line.startsWith('--'))

  it('lets psql read what ran and nothing else', () => {
    assert.deepEqual(run('select 1'), ['select 1;'])
    assert.deepEqual(run('select 1 -- one'), ['select 1 -- one', ';'])
    assert.deepEqual(run("select E'a\\'b'"), ["select E'a\\'b';"])
    assert.deepEqual(run("select '\\d'"), ["select '\\d';"])
    assert.deepEqual(run('select $1, $2', { parameters: ["it's \\d", null] }), [
      'PREPARE replay_1 AS',
      'select $1, $2;',
      "EXECUTE replay_1(E'it''s \\\\d', NULL);",
      'DEALLOCATE replay_1;',
    ])
    assert.deepEqual(run('select $1', { parameters: ['\u001b]52;c;aGk=\u0007'] }), [])
    assert.deepEqual(run('select $1', { parameters: [{ base64: 'AA==' }] }), [])
    for (const sql of [
      HOSTILE,
      "select 'a\\'; \\! touch /tmp/x; select '",
      'select 1 \\! touch /tmp/x',
      'copy orders from stdin',
      'select 1\rdrop table x',
    ]) {
      const kinds = sql.startsWith('copy') ? ['COPY_FROM'] : ['SELECT']
      assert.deepEqual(run(sql, { kinds }), [], sql)
    }
  })

  it('knows the format by the name', () => {
    assert.deepEqual(
      ['a.cast', 'a.HTML', 'x.y.sql', 'a.txt', 'a.jsonl', 'a', 'a.zip', '.sql'].map(formatOf),
      ['cast', 'html', 'sql', 'txt', 'jsonl', undefined, undefined, 'sql'],
    )
  })
})

/** What a terminal gets of a cast, without the colours that are our own. */
function shownByCast(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .slice(1)
    .map(line => String(JSON.parse(line)[2]))
    .join('')
    .replaceAll(/\u001b\[(?:0|2|31|33)m/g, '')
    .replaceAll('\r\n', '\n')
}
