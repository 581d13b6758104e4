import assert from 'node:assert/strict'
import type { TargetConfig } from '../../src/config/index.ts'
import { parseOptions, planStartup } from '../../src/gate/startup-plan.ts'
import type { Grant } from '../../src/policy/index.ts'
import { EVERYTHING, READER, standingOf, Workbench, WRITER } from './lab.ts'

const TARGET: TargetConfig = {
  name: 'prod',
  title: 'Prod',
  host: 'db.inside',
  port: 5432,
  database: 'shop',
  sslmode: 'require',
  sslrootcert: undefined,
  localPort: 6432,
  environment: undefined,
  databases: ['shop', 'stats'],
  roles: {},
}

describe('gate/startup-plan', () => {
  let bench: Workbench

  before(async () => {
    bench = await Workbench.open()
  })

  after(() => bench.close())

  const plan = (
    parameters: Readonly<Record<string, string>>,
    grant: Grant = EVERYTHING,
    target: Partial<TargetConfig> = {},
    minor = 0,
  ) =>
    planStartup(
      { major: 3, minor, parameters: new Map(Object.entries({ user: 'ana', ...parameters })) },
      { ...TARGET, ...target },
      standingOf(grant),
      bench.analyser,
    )

  describe('the database', () => {
    // What is asked for, what the target has, what comes of it.
    const TABLE: readonly (readonly [string | undefined, readonly string[], string | null])[] = [
      [undefined, ['shop'], 'shop'],
      ['', ['shop'], 'shop'],
      ['shop', ['shop'], 'shop'],
      ['stats', ['shop', 'stats'], 'stats'],
      ['ana', ['shop'], 'shop'],
      ['stats', ['shop'], null],
      ['postgres', ['shop', 'stats'], null],
      ['SHOP', ['shop'], null],
      ['anything', ['*'], 'anything'],
      ['shop', [], 'shop'],
    ]
    for (const [asked, databases, expected] of TABLE) {
      it(`asked for as ${asked ?? 'nothing'} of ${databases.join(', ') || 'none'}: ${expected ?? 'refused'}`, async () => {
        const planned = plan(asked === undefined ? {} : { database: asked }, EVERYTHING, {
          databases,
        })
        if (expected === null) await assert.rejects(planned, { code: 'NO_TARGET' })
        else assert.equal((await planned).database, expected)
      })
    }

    it('needs a user, as PostgreSQL does', async () => {
      await assert.rejects(plan({ user: '' }), { code: 'UNAUTHORIZED' })
    })
  })

  describe('settings', () => {
    it('go on as they came, for a role that may do everything', async () => {
      const { parameters } = await plan({
        application_name: 'psql',
        DateStyle: 'ISO',
        role: 'owner',
        options: '-c statement_timeout=7 --geqo=off',
      })
      assert.deepEqual(
        [...parameters],
        [
          ['statement_timeout', '7'],
          ['geqo', 'off'],
          ['application_name', 'psql'],
          ['DateStyle', 'ISO'],
          ['role', 'owner'],
        ],
      )
    })

    it('of options give way to those that stand by themselves, however they are spelled', async () => {
      const { parameters } = await plan({
        datestyle: 'ISO',
        options: '-c DateStyle=German -c search_path=a',
        application_name: 'x',
      })
      assert.deepEqual(
        [...parameters],
        [
          ['search_path', 'a'],
          ['datestyle', 'ISO'],
          ['application_name', 'x'],
        ],
      )
    })

    const FORBIDDEN: readonly (readonly [string, Readonly<Record<string, string>>, Grant])[] = [
      ['another role', { role: 'owner' }, READER],
      ['another role, spelled otherwise', { ROLE: 'owner' }, WRITER],
      ['another session authorization', { session_authorization: 'owner' }, WRITER],
      ['strings read otherwise', { standard_conforming_strings: 'off' }, WRITER],
      [
        'strings read otherwise, among the options',
        { options: '-cstandard-conforming-strings=off' },
        WRITER,
      ],
      ['writing for a reader', { default_transaction_read_only: 'off' }, READER],
      ['an unknown setting', { 'app.user': 'admin' }, READER],
      ['a library', { options: '-c session_preload_libraries=evil' }, WRITER],
      ['no row security', { row_security: 'off' }, WRITER],
      ['a name that quotes', { 'a"; drop table t; --': 'x' }, READER],
      ['another encoding than UTF-8', { client_encoding: 'LATIN1' }, READER],
    ]
    for (const [what, parameters, grant] of FORBIDDEN) {
      it(`are refused to ${grant.role}: ${what}`, async () => {
        await assert.rejects(plan(parameters, grant), { code: 'DENIED' })
      })
    }

    it('that are harmless are anybody’s', async () => {
      const { parameters } = await plan(
        {
          client_encoding: 'UTF8',
          extra_float_digits: '3',
          options: "-c search_path=a,b\\ c -c work_mem='1MB'",
        },
        READER,
      )
      assert.equal(parameters.get('search_path'), 'a,b c')
      assert.equal(parameters.get('work_mem'), "'1MB'")
    })

    it('are pinned for everybody whose statements are judged', async () => {
      for (const [grant, readOnly] of [
        [READER, 'on'],
        [WRITER, undefined],
      ] as const) {
        const { parameters } = await plan({ Standard_Conforming_Strings: 'on' }, grant)
        assert.equal(parameters.get('standard_conforming_strings'), 'on')
        assert.equal(parameters.has('Standard_Conforming_Strings'), false)
        assert.equal(parameters.get('default_transaction_read_only'), readOnly)
      }
      const { parameters } = await plan({ standard_conforming_strings: 'off' })
      assert.equal(parameters.get('standard_conforming_strings'), 'off')
    })

    it('do not bar a role from what it may do besides writing', async () => {
      const ddl: Grant = { ...READER, may: ['read', 'ddl'] }
      assert.equal((await plan({}, ddl)).parameters.has('default_transaction_read_only'), false)
    })

    it('make no encoding that can not be read', async () => {
      for (const client_encoding of ['SJIS', 'big5', 'GB18030'])
        await assert.rejects(plan({ client_encoding }), { code: 'UNSUPPORTED' })
    })

    it('name who it is where the tool does not say', async () => {
      const unnamed = await plan({})
      assert.equal(unnamed.applicationName, '')
      assert.equal(unnamed.parameters.get('application_name'), 'dbgate ana@acme.dev')
      const named = await plan({ application_name: 'psql' })
      assert.equal(named.applicationName, 'psql')
      assert.equal(named.parameters.get('application_name'), 'psql')
    })
  })

  describe('what is no setting', () => {
    it('is never among the options', async () => {
      for (const options of [
        '-c user=postgres',
        '--database=secrets',
        '-creplication=true',
        '-c options=-crole=x',
        '-c _pq_.x=1',
        '-c user=postgres -c search_path=a',
      ])
        await assert.rejects(plan({ options }), { code: 'UNSUPPORTED' }, options)
    })

    it('does not reach the server', async () => {
      const { parameters } = await plan({ database: 'shop', replication: 'off' })
      for (const name of ['user', 'database', 'replication', 'options'])
        assert.equal(parameters.has(name), false, name)
    })

    it('is replication', async () => {
      for (const replication of ['true', 'on', '1', 'database', 'yes', 'x'])
        await assert.rejects(plan({ replication }), { code: 'UNSUPPORTED' }, replication)
    })

    it('is said back when it is an option of the protocol', async () => {
      const { unrecognised, parameters } = await plan({ '_pq_.compression': 'zstd', '_pq_.x': '1' })
      assert.deepEqual(unrecognised, ['_pq_.compression', '_pq_.x'])
      assert.deepEqual([...parameters.keys()], ['application_name'])
    })
  })

  it('speaks the newest version both know', async () => {
    for (const [asked, spoken] of [
      [0, 0],
      [1, 1],
      [2, 2],
      [7, 2],
    ] as const) {
      const { askedMinor, minor } = await plan({}, EVERYTHING, {}, asked)
      assert.deepEqual([askedMinor, minor], [asked, spoken])
    }
  })

  describe('parseOptions', () => {
    const TABLE: Readonly<Record<string, readonly (readonly [string, string])[] | null>> = {
      '': [],
      '   ': [],
      '-c a=b': [['a', 'b']],
      '-ca=b': [['a', 'b']],
      '--a=b': [['a', 'b']],
      '--a-b=c-d': [['a_b', 'c-d']],
      '  -c\ta=b\n-c c=d ': [
        ['a', 'b'],
        ['c', 'd'],
      ],
      '-c a=b=c': [['a', 'b=c']],
      '-c a=': [['a', '']],
      '-c a=x\\ y': [['a', 'x y']],
      '-c a=x\\\\y': [['a', 'x\\y']],
      '-c a\\=b=c': [['a', 'b=c']],
      '-c': null,
      '-c a': null,
      '-c =b': null,
      '--': null,
      '-d 5': null,
      '-f s': null,
      'a=b': null,
      '-c a=b -P': null,
      '-W 30': null,
    }
    for (const [options, expected] of Object.entries(TABLE)) {
      it(`reads ${JSON.stringify(options)} ${expected === null ? 'not' : ''}`.trimEnd(), () => {
        if (expected === null) assert.throws(() => parseOptions(options), { code: 'UNSUPPORTED' })
        else assert.deepEqual(parseOptions(options), expected)
      })
    }
  })
})
