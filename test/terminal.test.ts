import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  canDraw,
  cutMiddle,
  hasColour,
  pad,
  Terminal,
  table,
  textWidth,
  visible,
} from '../src/terminal.ts'

/** Any code points, lone surrogates among them, the low ones more often. */
const anyText = fc
  .array(fc.oneof(fc.nat(0x10ffff), fc.nat(0x300)), { maxLength: 60 })
  .map(codes => String.fromCodePoint(...codes))

describe('terminal', () => {
  it('draws screens on terminals only, and never in a job', () => {
    const tty = { isTTY: true }
    const table = [
      [{}, [tty, tty], true],
      [{ CI: '0', TERM: 'screen' }, [tty, tty], true],
      [{ CI: 'false', NO_COLOR: '1' }, [tty, tty], true],
      [{}, [tty, {}], false],
      [{ CI: 'true' }, [tty, tty], false],
      [{ CI: '' }, [tty, tty], false],
      [{ CONTINUOUS_INTEGRATION: '1' }, [tty, tty], false],
      [{ TERM: 'dumb' }, [tty, tty], false],
    ] as const
    for (const [env, streams, expected] of table) {
      assert.equal(canDraw(env, streams), expected, JSON.stringify(env))
    }
  })

  describe('visible', () => {
    const cases: readonly (readonly [what: string, text: string, shown: string])[] = [
      ['plain text', "SELECT 'é', '日本', '👍'", "SELECT 'é', '日本', '👍'"],
      ['an escape sequence', '\u001b[31mred', '␛[31mred'],
      ['a clipboard write', '\u001b]52;c;ZXZpbA==\u0007', '␛]52;c;ZXZpbA==␇'],
      ['a link', '\u001b]8;;http://x\u001b\\y', '␛]8;;http://x␛\\y'],
      ['a one-byte CSI', '\u009b2J', '\\x9b2J'],
      ['carriage return, tab and backspace', 'a\rb\tc\b', 'a␍b␉c␈'],
      ['a newline', 'a\nb', 'a␊b'],
      ['DEL and NUL', '\u007f\0', '␡␀'],
      ['a bidi override', 'DROP \u202eELBAT', 'DROP <U+202E>ELBAT'],
      ['bidi isolates', '\u2066a\u2069', '<U+2066>a<U+2069>'],
      ['zero-width characters', 'a\u200bb\u200dc\ufeff', 'a<U+200B>b<U+200D>c<U+FEFF>'],
      ['a soft hyphen and a combining joiner', 'a\u00adb\u034fc', 'a<U+00AD>b<U+034F>c'],
      ['invisible tag characters', 'a\u{e0041}', 'a<U+E0041>'],
      ['a Hangul filler', 'a\u3164b', 'a<U+3164>b'],
      ['line and paragraph separators', 'a\u2028b\u2029', 'a<U+2028>b<U+2029>'],
      ['a space that is none', 'a\u00a0b\u3000', 'a<U+00A0>b<U+3000>'],
      ['half a surrogate pair', 'a\ud800b', 'a<U+D800>b'],
    ]
    for (const [what, text, shown] of cases) {
      it(`shows ${what}`, () => assert.equal(visible(text), shown))
    }

    it('keeps newlines where a whole statement is shown, and nothing else', () => {
      assert.equal(visible('a\nb\r\n\u001b[2J', { keepNewlines: true }), 'a\nb␍\n␛[2J')
    })

    it('leaves no control or format character of any text', () => {
      fc.assert(
        fc.property(anyText, text => {
          assert.doesNotMatch(visible(text), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
        }),
      )
    })

    it('changes nothing that it has made safe already', () => {
      fc.assert(
        fc.property(anyText, text => {
          assert.equal(visible(visible(text)), visible(text))
        }),
      )
    })
  })

  describe('colour', () => {
    const cases: readonly (readonly [env: Record<string, string>, isTTY: boolean, on: boolean])[] =
      [
        [{}, true, true],
        [{}, false, false],
        [{ NO_COLOR: '1' }, true, false],
        [{ NO_COLOR: '' }, true, true],
        [{ NO_COLOR: '1', FORCE_COLOR: '1' }, true, false],
        [{ FORCE_COLOR: '1' }, false, true],
        [{ FORCE_COLOR: '0' }, true, false],
        [{ TERM: 'dumb' }, true, false],
        [{ TERM: 'dumb', FORCE_COLOR: '1' }, true, true],
      ]
    for (const [env, isTTY, on] of cases) {
      it(`is ${on ? 'on' : 'off'} for ${JSON.stringify(env)} ${isTTY ? 'on' : 'off'} a terminal`, () => {
        assert.equal(hasColour(env, isTTY), on)
      })
    }

    it('is decided for stdout and stderr each', () => {
      const terminal = new Terminal({ stdout: sink(), stderr: { ...sink(), isTTY: true }, env: {} })
      assert.equal(terminal.paintOut.red('x'), 'x')
      assert.equal(terminal.paint.red('x'), '\u001b[31mx\u001b[39m')
    })
  })

  it('uses plain ASCII marks where the locale is not UTF-8', () => {
    const marks = (env: Record<string, string>) =>
      new Terminal({ stdout: sink(), stderr: sink(), env }).marks.next
    assert.equal(marks({ LANG: 'en_US.UTF-8' }), '→')
    assert.equal(marks({ LC_ALL: 'C', LANG: 'en_US.UTF-8' }), '->')
    assert.equal(marks({ LANG: 'POSIX' }), '->')
    assert.equal(marks({}), '→')
  })

  it('keeps data on stdout and talk on stderr', () => {
    const [stdout, stderr] = [sink(), sink()]
    const terminal = new Terminal({ stdout, stderr, env: {} })
    terminal.out('data')
    terminal.say('talk')
    assert.deepEqual([stdout.text(), stderr.text()], ['data\n', 'talk\n'])
  })

  describe('width', () => {
    it('counts columns, not characters', () => {
      assert.deepEqual(
        ['abc', 'é', 'e\u0301', '日本', '👍', '\u001b[31mab\u001b[39m'].map(textWidth),
        [3, 1, 1, 4, 2, 2],
      )
    })

    it('cuts the middle and keeps both ends', () => {
      assert.equal(cutMiddle('DELETE FROM orders WHERE id = 7', 16), 'DELETE F… id = 7')
      assert.equal(cutMiddle('short', 5), 'short')
      assert.equal(cutMiddle('日本日本', 5), '日…本')
    })

    it('never cuts to more columns than asked for, whatever the text', () => {
      fc.assert(
        fc.property(anyText, fc.nat(30), (text, width) => {
          assert.ok(textWidth(cutMiddle(visible(text), width)) <= width)
        }),
      )
    })

    it('pads to either side', () => {
      assert.deepEqual(
        [pad('日', 4), pad('7', 3, 'right'), pad('long', 2)],
        ['日  ', '  7', 'long'],
      )
    })
  })

  describe('table', () => {
    const columns = [
      { title: 'ID' },
      { title: 'SQL', flexible: true },
      { title: 'ROWS', align: 'right' as const },
    ]
    const rows = [
      ['1', 'select * from orders where status = 7', '12'],
      ['22', 'begin', '-'],
    ]

    it('aligns what fits', () => {
      assert.deepEqual(table(columns, rows, 80), [
        'ID  SQL                                    ROWS',
        '1   select * from orders where status = 7    12',
        '22  begin                                     -',
      ])
    })

    it('cuts the flexible column first', () => {
      const lines = table(columns, rows, 34)
      assert.ok(lines.every(line => textWidth(line) <= 34))
      assert.equal(lines[1], '1   select * fro… status = 7    12')
    })

    it('drops columns from the right when cutting is not enough', () => {
      assert.deepEqual(
        table(columns, rows, 18).map(line => line.split('  ').length),
        [2, 2, 2],
      )
    })
  })
})

function sink() {
  let written = ''
  return {
    write(chunk: string | Uint8Array) {
      written += chunk
      return true
    },
    text: () => written,
  }
}
