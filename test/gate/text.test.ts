import assert from 'node:assert/strict'
import { decodeText, isAmbiguousEncoding, makesUnreadable } from '../../src/gate/text.ts'

describe('gate/text', () => {
  describe('decodeText', () => {
    // Bytes, encoding, text; and whether the bytes are kept beside it.
    const TABLE: readonly (readonly [string, string, string, boolean])[] = [
      ['73656c656374', 'UTF8', 'select', false],
      ['73656c656374', 'LATIN1', 'select', false],
      ['c3a9', 'UTF8', 'é', false],
      ['e9', 'LATIN1', 'é', true],
      ['e9', 'WIN1252', 'é', true],
      ['80', 'WIN1252', '€', true],
      ['a4', 'LATIN9', '€', true],
      ['e9', 'UTF8', '\ufffd', true],
      ['c3a9', 'SQL_ASCII', 'é', false],
      ['e9', 'SQL_ASCII', '\ufffd', true],
      ['c3a9', 'NOT_AN_ENCODING', 'é', false],
      ['b8ec', 'EUC_JP', '語', true],
      ['d0d2', 'KOI8R', 'пр', true],
      ['', 'UTF8', '', false],
      ['f09f9880', 'UTF8', '😀', false],
    ]
    for (const [bytes, encoding, text, isKept] of TABLE) {
      it(`reads ${bytes || 'nothing'} in ${encoding} as ${text || 'nothing'}`, () => {
        const buf = Buffer.from(bytes, 'hex')
        assert.deepEqual(decodeText(buf, encoding), {
          text,
          base64: isKept ? buf.toString('base64') : undefined,
        })
      })
    }
  })

  it('knows the encodings in which a quote may not be one, in any spelling', () => {
    for (const name of [
      'SJIS',
      'sjis',
      'Shift_JIS',
      'shift-jis',
      'SHIFT_JIS_2004',
      'mskanji',
      'BIG5',
      'Big-5',
      'GBK',
      'GB18030',
      'gb 18030',
      'UHC',
      'JOHAB',
      'WIN932',
      'Windows949',
      'windows-950',
      'MULE_INTERNAL',
    ])
      assert.ok(isAmbiguousEncoding(name), name)
    for (const name of ['UTF8', 'utf-8', 'Unicode', 'LATIN1', 'EUC_JP', 'SQL_ASCII', 'WIN1252', ''])
      assert.ok(!isAmbiguousEncoding(name), name)
  })

  it('knows the settings under which text is read otherwise', () => {
    assert.ok(makesUnreadable('client_encoding', 'SJIS'))
    assert.ok(makesUnreadable('standard_conforming_strings', 'off'))
    assert.ok(makesUnreadable('standard_conforming_strings', '0'))
    assert.ok(!makesUnreadable('standard_conforming_strings', 'on'))
    assert.ok(!makesUnreadable('standard_conforming_strings', 'TRUE'))
    assert.ok(!makesUnreadable('client_encoding', 'UTF8'))
    assert.ok(!makesUnreadable('datestyle', 'off'))
  })
})
