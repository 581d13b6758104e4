/**
 * Random SQL for property tests: statements as lists of tokens, so that they can be written in many
 * ways.
 */
import fc from 'fast-check'

/** `word`: a keyword, in any case; `name`: an identifier, quoted or not; `text`: as it stands. */
export type Token = readonly [kind: 'word' | 'name' | 'text', text: string]

type Tokens = readonly Token[]

const word = (text: string): Tokens => text.split(' ').map(part => ['word', part])
const name = (text: string): Tokens => [['name', text]]
const text = (value: string): Tokens => [['text', value]]

/** Joins pieces, each tokens or a list of them, into one list. */
const join = (...pieces: readonly Tokens[]): Tokens => pieces.flat()

const TABLES = ['orders', 'payroll', 'users', 'pg_authid', 'mixed_case']
const COLUMNS = ['id', 'status', 'amount', 'k']
const FUNCTIONS = [
  'upper',
  'now',
  'nextval',
  'setval',
  'purge',
  'pg_read_file',
  'pg_sleep',
  'lo_unlink',
  'pg_terminate_backend',
  'query_to_xml',
]

const table = fc.constantFrom(...TABLES).map(name)
const column = fc.constantFrom(...COLUMNS).map(name)
const literal = fc.constantFrom('1', `'x'`, `''`, 'NULL', '$1', `'DELETE FROM orders'`).map(text)
const setting = fc.constantFrom('role', 'search_path', 'application_name').map(value => {
  return join(name('set_config'), text('('), text(`'${value}'`), text(', '), text(`'x', false)`))
})

const { expression, select } = fc.letrec<{ expression: Tokens; select: Tokens }>(tie => ({
  expression: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    column,
    literal,
    setting,
    fc
      .tuple(fc.constantFrom(...FUNCTIONS), tie('expression'))
      .map(([called, arg]) => join(name(called), text('('), arg, text(')'))),
    fc
      .tuple(tie('expression'), fc.constantFrom('=', '<>', '+', '||', '<!>'), tie('expression'))
      .map(([a, operator, b]) => join(text('('), a, text(` ${operator} `), b, text(')'))),
    fc
      .tuple(tie('expression'), tie('expression'))
      .map(([a, b]) => join(word('CASE WHEN'), a, word('IS NULL THEN'), b, word('END'))),
    tie('select').map(inner => join(text('('), inner, text(')'))),
    tie('select').map(inner => join(word('EXISTS'), text('('), inner, text(')'))),
  ),
  select: fc
    .tuple(
      tie('expression'),
      fc.option(
        fc.oneof(
          table,
          tie('select').map(inner => join(text('('), inner, text(')'), word('AS'), name('q'))),
        ),
      ),
      fc.option(tie('expression')),
      fc.constantFrom('', 'FOR UPDATE'),
    )
    .map(([output, from, where, lock]) =>
      join(
        word('SELECT'),
        output,
        from === null ? [] : join(word('FROM'), from),
        where === null ? [] : join(word('WHERE'), where, word('IS NOT NULL')),
        from === null || lock === '' ? [] : word(lock),
      ),
    ),
}))

const where = fc
  .option(expression)
  .map(found => (found === null ? [] : join(word('WHERE'), found, text(' = '), found)))

const change = fc.oneof(
  fc
    .tuple(table, expression)
    .map(([target, value]) =>
      join(word('INSERT INTO'), target, word('VALUES'), text('('), value, text(')')),
    ),
  fc.tuple(table, select).map(([target, source]) => join(word('INSERT INTO'), target, source)),
  fc
    .tuple(table, column, expression, where)
    .map(([target, set, value, filter]) =>
      join(word('UPDATE'), target, word('SET'), set, text(' = '), value, filter),
    ),
  fc.tuple(table, where).map(([target, filter]) => join(word('DELETE FROM'), target, filter)),
  fc
    .tuple(table, table, expression, fc.constantFrom('DELETE', 'DO NOTHING'))
    .map(([target, source, condition, action]) =>
      join(
        word('MERGE INTO'),
        target,
        word('AS'),
        name('a'),
        word('USING'),
        source,
        word('AS'),
        name('b'),
        word('ON'),
        condition,
        word('IS NULL WHEN MATCHED THEN'),
        word(action),
      ),
    ),
)

/** Queries and changes of rows: what can stand within WITH, EXPLAIN, PREPARE and the like. */
export const queryTokens: fc.Arbitrary<Tokens> = fc.oneof(
  { arbitrary: select, weight: 3 },
  { arbitrary: change, weight: 3 },
  fc
    .tuple(change, select)
    .map(([inner, outer]) =>
      join(word('WITH'), name('w'), word('AS'), text('('), inner, text(')'), outer),
    ),
)

export const selectTokens: fc.Arbitrary<Tokens> = select

/** Writes tokens plainly. */
export function plain(tokens: Tokens): string {
  return tokens.map(([, value]) => value).join(' ')
}

const SPACES = [' ', '\n', '\t ', ' /* x */ ', ' -- DELETE FROM users\n', '/*/* nested */;*/', '\f']

/** Writes tokens in a way that means the same: other blanks, comments, case, quotes. */
export function disguised(tokens: Tokens, choices: readonly number[]): string {
  let i = 0
  const pick = (count: number): number => (choices[i++ % choices.length] ?? 0) % count
  return tokens
    .map(([kind, value]) => {
      const space = SPACES[pick(SPACES.length)] ?? ' '
      if (kind === 'text') return `${space}${value}`
      const shape = pick(kind === 'name' ? 4 : 2)
      if (shape === 0) return `${space}${value.toLowerCase()}`
      if (shape === 1) return `${space}${value.toUpperCase()}`
      if (shape === 2) return `${space}"${value}"`
      // Any character can be written as its code: U&"\\006frders" is orders.
      const code = value.charCodeAt(0).toString(16).padStart(4, '0')
      return `${space}U&"\\${code}${value.slice(1)}"`
    })
    .join('')
}
