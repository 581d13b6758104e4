import assert from 'node:assert/strict'
import fc from 'fast-check'
import { canonicalText } from '../../src/sql/canonical.ts'
import { compileParser, openParser, type Parser } from '../../src/sql/parser.ts'
import { SEED } from '../helpers/seed.ts'

const canonical = (text: string) => Buffer.from(canonicalText(Buffer.from(text))).toString()

/** Text, and what is left of it. */
const REMOVED: readonly (readonly [string, string])[] = [
  ['SELECT 1', 'SELECT 1'],
  [' \t\r\n\fSELECT 1 \n', 'SELECT 1'],
  ['SELECT 1;', 'SELECT 1'],
  ['SELECT 1 ; \n', 'SELECT 1'],
  ["/*traceparent='00-1'*/ SELECT 1", 'SELECT 1'],
  ["SELECT 1 /*traceparent='00-1'*/", 'SELECT 1'],
  ["SELECT 1 /*a*/ ; /*b*/ -- it's", 'SELECT 1'],
  ['-- a\r-- b\nSELECT 1 -- c', 'SELECT 1'],
  ['/* a /* b */ c */SELECT 1/*/**/*/', 'SELECT 1'],
  ['SELECT 1 +/*a*/ 2--b', 'SELECT 1 +/*a*/ 2'],
  ['SELECT 1;;', 'SELECT 1;'],
  ['BEGIN; SELECT 1; -- x', 'BEGIN; SELECT 1'],
  [';', ''],
  ['-- nothing', ''],
  ["SELECT '--'' /*'; -- x", "SELECT '--'' /*'"],
  ['SELECT "--"" /*"; -- x', 'SELECT "--"" /*"'],
  ["SELECT E'\\'--' /* x */", "SELECT E'\\'--'"],
  ["SELECT e'\\\\' -- x", "SELECT e'\\\\'"],
  ["SELECT type'a' -- it's", "SELECT type'a'"],
  ["SELECT U&'\\0041--' /* x */", "SELECT U&'\\0041--'"],
  ["SELECT B'01', X'1F', N'--' -- x", "SELECT B'01', X'1F', N'--'"],
  ["SELECT 'a'\n-- x\n'--b' -- y", "SELECT 'a'\n-- x\n'--b'"],
  ['SELECT $$ -- $a$ $$, $a$ $$ -- $a$ -- x', 'SELECT $$ -- $a$ $$, $a$ $$ -- $a$'],
  ['SELECT $é1$ -- $é$ $é1$ -- x', 'SELECT $é1$ -- $é$ $é1$'],
  ['SELECT $1, $2-- x', 'SELECT $1, $2'],
  ['/*x*/ /*+ SeqScan(t) */ SELECT 1 /*y*/', '/*+ SeqScan(t) */ SELECT 1'],
  ['SELECT 1 /*+ SeqScan(t) */ -- x', 'SELECT 1 /*+ SeqScan(t) */'],
  ['SELECT 1 -- é €\u00a0', 'SELECT 1'],
]

/** Text of which nothing may be removed, and why. */
const KEPT: readonly (readonly [string, string])[] = [
  ['\u00a0SELECT 1', 'a no-break space is part of an identifier'],
  ['\vSELECT 1', 'a vertical tab is no white space before PostgreSQL 16'],
  ["SELECT 'a -- x", 'the string does not end'],
  ['SELECT "a -- x', 'the identifier does not end'],
  ["SELECT E'a\\' -- x", 'the quote is escaped'],
  ['SELECT $a$ -- x', 'the dollar quote does not end'],
  ['SELECT 1 /* x /* */', 'the comment does not end'],
  ["SELECT '\\' -- '", 'depends on standard_conforming_strings'],
  ["SELECT 'a''\\' -- '", 'depends on standard_conforming_strings'],
  ["SELECT E'a'\n'b\\' -- '", 'the second part is read as the first'],
  ["SELECT E'a'\n-- c\n'b\\' -- '", 'the second part is read as the first'],
  ["SELECT E'a'\n\v'b\\' -- '", 'the second part is read as the first since PostgreSQL 16'],
  ['SELECT 1_000$a$ -- $a$', 'a number since PostgreSQL 16, before that a name'],
  ['SELECT a$b$ -- $b$', 'a dollar sign within a name'],
  ['SELECT $1$a$ -- $a$', 'a dollar quote behind a parameter'],
  ['SELECT $a -- x', 'a lone dollar sign'],
  ['SELECT 1\0 -- x', 'the parser would stop there'],
]

/** Pieces that change the lexer's state, and some that look as if they did. */
const PIECES = [
  ...["'", "''", "E'", "e'", "U&'", "B'", "X'", "N'", '"', 'U&"', '\\', "\\'", '\\\\'],
  ...['$$', '$a$', '$b$', '$1', '$', '$é$', 'a$b', '1_0', '1e', '0x1', '--', '/*', '*/', '/*+'],
  ...['/', '*', '-', '+', '@', '<', ' ', '\n', '\r', '\t', '\f', '\v', ';', ',', '(', ')', '.'],
  ...['SELECT', 'a', 'e', 'u', 'é', '1', '\u00a0', 'AS', 'UESCAPE', '::', 'BEGIN'],
]

const TERMS = [
  ...["'a'", "'--'", "'/*'", "'it''s'", "E'\\'--'", "E'a'\n'\\'/*'", "U&'\\0041'", "B'01'"],
  ...['$$--$$', "$a$ ' $$ /* $a$", '"--"', '"a""/*"', 'U&"\\0041"', '$1', '1.5e3', '0x1F', '1_000'],
  ...['a$b', 'é', "'\\'", "'\\\\'", "ea'\\'", "interval '1'", "E'a''b'", "E'\\\\'", "'-'"],
  ...['é$a$', 'a$b$', '$c$ $b$ -- $c$', '$b$ $a$ -- $b$', "E'\\''", "E'a'\n'\\'--'", "N'/*'"],
]
const BLANKS = [' ', '\n', '\t', '/**/', '/*a*/', '/* /* */ */', "/*'*/", '/*$$*/', '-- "\n']
const TAILS = ['', ';', '-- x', '-- $$', '/*+ x */', ';;', '; --;', '\v', '/*;*/', '--/*']

describe('sql/canonical', () => {
  let parser: Parser

  before(async () => {
    parser = await openParser(compileParser())
  })

  for (const [text, left] of REMOVED) {
    it(`leaves ${JSON.stringify(left)} of ${JSON.stringify(text)}`, () => {
      assert.equal(canonical(text), left)
    })
  }

  for (const [text, why] of KEPT) {
    it(`removes nothing of ${JSON.stringify(text)}: ${why}`, () => {
      assert.equal(canonical(text), text)
    })
  }

  it('removes nothing of bytes that are not UTF-8', () => {
    const text = Buffer.concat([Buffer.from(' SELECT '), Buffer.from([0xe9]), Buffer.from(' -- x')])
    assert.deepEqual(Buffer.from(canonicalText(text)), text)
  })

  /** What a text means: its tree without the places things stand at. Undefined if it is no SQL. */
  function meaning(text: string): string | undefined {
    const parsed = parser.parse(Buffer.from(text))
    if (!parsed.ok) return undefined
    return JSON.stringify(parsed.tree, (key, value) =>
      /location$|^stmt_len$|^(rexpr_)?list_(start|end)$/.test(key) ? undefined : value,
    )
  }

  function isSameStatement(text: string): boolean {
    const before = meaning(text)
    if (before === undefined) return false
    assert.equal(meaning(canonical(text)), before, JSON.stringify({ text, left: canonical(text) }))
    return true
  }

  it('never changes what the parser makes of it, whatever the pieces', function () {
    this.timeout(60_000)
    let understood = 0
    const anyPieces = fc.array(fc.constantFrom(...PIECES), { maxLength: 14 })
    fc.assert(
      fc.property(anyPieces, pieces => {
        if (isSameStatement(`SELECT ${pieces.join('')}`)) understood++
        if (isSameStatement(pieces.join(''))) understood++
      }),
      { seed: SEED, numRuns: 20_000 },
    )
    assert.ok(understood > 500, `only ${understood} texts were SQL`)
  })

  it('never changes what the parser makes of statements full of quotes and comments', function () {
    this.timeout(60_000)
    let [understood, cut] = [0, 0]
    const some = (of: readonly string[]) =>
      fc.array(fc.constantFrom(...of), { maxLength: 3 }).map(parts => parts.join(''))
    const term = fc.tuple(some(BLANKS), fc.constantFrom(...TERMS), some(BLANKS))
    const terms = fc.array(term, { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(some(BLANKS), terms, some(TAILS), some(BLANKS), (lead, list, tail, trail) => {
        const items = list.map(parts => parts.join('')).join(',')
        const text = `${lead}SELECT ${items}${tail}${trail}`
        if (isSameStatement(text)) understood++
        if (canonical(text) !== text) cut++
      }),
      { seed: SEED, numRuns: 10_000 },
    )
    assert.ok(understood > 5000 && cut > 5000, `${understood} were SQL, ${cut} were cut`)
  })
})
