import assert from 'node:assert/strict'
import type { Server } from 'node:https'
import { request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import {
  type ApiClient,
  createApiClient,
  createApiServer,
  fingerprintOf,
  type RejudgeTools,
  Requests,
  rejudgeBy,
} from '../../src/api/index.ts'
import { DbgateError } from '../../src/errors.ts'
import type { Principal } from '../../src/identity/index.ts'
import type { Policy } from '../../src/policy/index.ts'
import { buildCatalog, CATALOG_QUERIES } from '../../src/sql/index.ts'
import type { ApprovalRequest } from '../../src/store/index.ts'
import {
  ana,
  ben,
  codeOf,
  Desk,
  errorOf,
  filing,
  kim,
  lee,
  p1,
  person,
  terms,
} from '../approval/builders.ts'
import { analyse, policyOf, ready } from '../policy/asking.ts'
import { SAMPLE } from '../policy/sample.ts'
import { FIRST } from '../tunnel/certificates.ts'

const ola = person('ola', ['sre-oncall'])
const PEOPLE: Readonly<Record<string, Principal>> = { ana, ben, kim, lee, ola }

describe('api/requests', () => {
  let people: Record<string, Principal>
  let desk: Desk
  let policy: Policy
  let server: Server
  let url: string
  const plans = new Map([
    ['DELETE FROM orders WHERE id = 1', ['Delete on orders', '  ->  Seq Scan']],
  ])

  before(async () => {
    await ready()
    policy = await policyOf(SAMPLE)
  })
  beforeEach(async () => {
    desk = new Desk()
    people = { ...PEOPLE }
    const requests = new Requests({
      approvals: desk.approvals,
      policy: () => policy,
      policyNow: () => p1,
      isAuditor: ({ user }) => user === kim.user,
      environmentOf: () => 'production',
      planOf: async hold => plans.get(hold.statement.text),
      analyse: sql => analyse(sql),
      trace: () => assert.fail('there is no schema to trace in'),
      schemaOf: async () => undefined,
      now: desk.clock.now,
    })
    server = createApiServer({
      ...FIRST,
      backend: {
        problems: () => [],
        isReady: () => true,
        discovery: async () => ({}),
        verify: async token => {
          const principal = people[token]
          if (principal === undefined) throw new DbgateError('UNAUTHORIZED', 'sign-in refused')
          return principal
        },
        answer: async () => ({}),
        call: call => requests.answer(call),
        renew: () => 0,
        admit: () => {},
        tunnel: () => {},
        refused: () => {},
      },
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterEach(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
    desk.close()
  })

  function as(name: string, agent?: string): ApiClient {
    return createApiClient({
      server: { url, pin: fingerprintOf(FIRST.cert) },
      token: async () => name,
      agent: async () => agent,
    })
  }

  /** A request as no client of ours would send it. */
  function raw(
    method: string,
    path: string,
    headers: Record<string, string>,
    body = '',
  ): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
    return new Promise((resolve, reject) => {
      const options = { method, headers, rejectUnauthorized: false, agent: false as const }
      const outgoing = httpsRequest(`${url}/api/v1/${path}`, options, response => {
        let text = ''
        response.setEncoding('utf8').on('data', chunk => {
          text += chunk
        })
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        )
      })
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  }

  it('shows an approver the whole statement and its parameters as they are', async () => {
    const text = `DELETE FROM orders\nWHERE note = '${'x'.repeat(9000)}\u001b]52;c;\u202e'`
    const parameters = ['a\u0000b', null, { base64: '/w==' }]
    const made = filing(text)
    const shown = { ...made.shown, parameters }
    const { hold } = desk.approvals.holds.file({ ...made, shown })
    const { statement, waitsForYou, via } = await as('ben').request(hold.id)
    assert.equal(statement?.sql, text)
    assert.deepEqual(statement?.parameters, parameters)
    assert.equal(statement?.irreversible, undefined)
    assert.deepEqual([waitsForYou, via], [true, 'claude'])
  })

  it('tells a statement that cannot be undone, wherever it hides', async () => {
    const words = []
    for (const text of [
      'DROP TABLE orders',
      'WITH d AS (DELETE FROM orders RETURNING 1) SELECT count(*) FROM d',
      'UPDATE orders SET note = 1 WHERE true',
      "DELETE FROM orders WHERE id = 1; SELECT 'DROP'",
      'SELECT 1; TRUNCATE orders',
      'this is no SQL',
    ]) {
      const { hold } = desk.approvals.holds.file(filing(text))
      words.push((await as('ben').request(hold.id)).statement?.irreversible?.word)
    }
    assert.deepEqual(words, ['DROP', 'DELETE', 'UPDATE', undefined, 'TRUNCATE', 'UNREAD'])
  })

  it('shows the plan to who may decide, and to nobody else', async () => {
    const { hold } = desk.approvals.holds.file(filing('DELETE FROM orders WHERE id = 1'))
    const { id } = hold
    assert.deepEqual(await as('ben').plan(id), ['Delete on orders', '  ->  Seq Scan'])
    assert.equal(await codeOf(() => as('ana').plan(id)), 'DENIED')
    assert.equal(await codeOf(() => as('ben', 'claude').plan(id)), 'DENIED')
    assert.equal(await codeOf(() => as('lee').plan(id)), 'NOT_FOUND')
    const other = desk.approvals.holds.file(filing('SELECT f()')).hold
    assert.equal(await codeOf(() => as('ben').plan(other.id)), 'NOT_FOUND')
    await as('ben').decide(id, 'approve')
    assert.equal(await codeOf(() => as('kim').plan(id)), 'DENIED')
  })

  it('lists what waits for whom, and hides the rest', async () => {
    const { hold } = desk.approvals.holds.file(filing())
    const ids = async (name: string, which: 'decide' | 'mine' | 'all') =>
      (await as(name).requests({ which })).map(({ id }) => id)
    assert.deepEqual(await ids('ben', 'decide'), [hold.id])
    assert.deepEqual(await ids('ana', 'decide'), [])
    assert.deepEqual(await ids('ana', 'mine'), [hold.id])
    assert.deepEqual(await ids('kim', 'all'), [hold.id])
    assert.equal(await codeOf(() => ids('ben', 'all')), 'DENIED')
    assert.equal(await codeOf(() => as('lee').request(hold.id)), 'NOT_FOUND')
    assert.equal(
      await codeOf(() => as('ben').requests({ which: 'decide', state: 'opne' })),
      'USAGE',
    )
  })

  it('has a decision of somebody who may make it', async () => {
    const { hold } = desk.approvals.holds.file(filing())
    const waited = as('ana').waitFor(hold.id, 20_000)
    const { request, missing } = await as('ben').decide(hold.id, 'approve', 'fine')
    assert.deepEqual([request.state, missing], ['approved', []])
    assert.deepEqual(request.decided[0], {
      by: ben.user,
      what: 'approved',
      at: desk.clock.now(),
      comment: 'fine',
    })
    assert.equal((await waited).state, 'approved')
    const error = await errorOf(() => as('kim').decide(hold.id, 'deny', 'late'))
    assert.deepEqual([error.code, error.exitCode], ['STALE', 9])
  })

  it('says what a first of two votes still needs', async () => {
    const two = terms(['dba'], 2)
    const { hold } = desk.approvals.holds.file(filing('DELETE FROM a', { terms: two }))
    const { request, missing } = await as('ben').decide(hold.id, 'approve')
    assert.deepEqual([request.state, request.have, request.need], ['open', 1, 2])
    assert.deepEqual(missing, [{ by: ['dba'], need: 1 }])
  })

  const refused: readonly [
    who: string,
    agent: string | undefined,
    vote: 'approve' | 'deny',
    string,
  ][] = [
    ['ana', undefined, 'approve', 'DENIED'],
    ['lee', undefined, 'approve', 'DENIED'],
    ['ben', 'claude', 'approve', 'DENIED'],
    ['ben', 'claude', 'deny', 'DENIED'],
  ]
  for (const [who, agent, vote, code] of refused) {
    it(`refuses ${vote} by ${who}${agent === undefined ? '' : ` through ${agent}`}`, async () => {
      const { hold } = desk.approvals.holds.file(filing())
      assert.equal(await codeOf(() => as(who, agent).decide(hold.id, vote, 'because')), code)
      assert.equal(desk.state(hold.id), 'open')
    })
  }

  it('asks for a reason to say no', async () => {
    const { hold } = desk.approvals.holds.file(filing())
    assert.equal(await codeOf(() => as('ben').decide(hold.id, 'deny', ' ')), 'USAGE')
    assert.equal((await as('ben').decide(hold.id, 'deny', 'wrong table')).request.state, 'denied')
  })

  it('lets somebody who has just signed in approve what needs a fresh sign-in, and nobody else', async () => {
    const stepUp = terms(['dba'], 1, { presence: 'step-up' })
    const file = () =>
      desk.approvals.holds.file(filing(`DELETE FROM a${desk.clock.time}`, { terms: stepUp })).hold
    const refusal = async (authTime: number | undefined) => {
      people.ben = { ...ben, ...(authTime === undefined ? {} : { authTime }) }
      const { id } = file()
      const error = await errorOf(() => as('ben').decide(id, 'approve'))
      assert.deepEqual([error.code, error.next], ['PRESENCE', [`dbgate approve ${id}`]])
      return error.detail ?? ''
    }
    const now = desk.clock.now()
    assert.match(await refusal(undefined), /does not say when you signed in \(claim auth_time\)/)
    assert.match(await refusal(now - 301_000), /more than 5 minutes ago/)
    await refusal(now + 3_600_000)
    people.ben = { ...ben, authTime: now - 60_000 }
    assert.equal((await as('ben').decide(file().id, 'approve')).request.state, 'approved')
  })

  it('lets who asked take it back, and nobody else', async () => {
    const { hold } = desk.approvals.holds.file(filing())
    assert.equal(await codeOf(() => as('ben').withdraw(hold.id)), 'DENIED')
    assert.equal((await as('ana').withdraw(hold.id)).state, 'withdrawn')
  })

  describe('roles for a while', () => {
    const wish = { target: 'prod', role: 'writer', reason: 'INC-4021', isBreakGlass: false }

    it('are told of to whom the policy says', async () => {
      const told = 'approve: { by: [dba], need: 1 }\n    notify: [db-approvals]'
      policy = await policyOf(SAMPLE.replace('approve: { by: [dba], need: 1 }', told))
      const events: string[] = []
      desk.approvals.listen(({ what, request }) => events.push(`${what} ${request.notify}`))
      const made = await as('lee').access({ ...wish, forMs: 60_000 })
      policy = await policyOf(SAMPLE)
      assert.deepEqual([made.told, events], [['db-approvals'], ['filed db-approvals']])
    })

    it('are asked for once, approved, listed and ended', async () => {
      const { request, isNew } = await as('lee').access({ ...wish, forMs: 60_000 })
      const again = await as('lee').access(wish)
      assert.deepEqual([isNew, again.isNew, again.request.id], [true, false, request.id])
      assert.deepEqual(await as('lee').grants({ all: false }), [])
      await as('ben').decide(request.id, 'approve')
      const [grant] = await as('lee').grants({ all: false })
      assert.deepEqual(
        [grant?.id, grant?.role, grant?.access?.forMs],
        [request.id, 'writer', 60_000],
      )
      assert.equal((await as('lee').endGrant(request.id)).state, 'ended')
      assert.deepEqual(await as('kim').grants({ all: true }), [])
    })

    it('are not to be had beyond what the policy gives', async () => {
      const code = (more: object) => codeOf(() => as('lee').access({ ...wish, ...more }))
      assert.equal(await code({ forMs: 5 * 3_600_000 }), 'USAGE')
      assert.equal(await code({ reason: undefined }), 'USAGE')
      assert.equal(await code({ role: 'migrator' }), 'DENIED')
      assert.equal(await code({ isBreakGlass: true }), 'DENIED')
      assert.deepEqual(desk.log.records, [])
    })
  })

  describe('a role taken in an emergency', () => {
    const wish = { target: 'prod', role: 'writer', reason: 'INC-1', isBreakGlass: true }

    it('is there at once, told, and looked at by somebody else afterwards', async () => {
      assert.deepEqual(
        (await as('ola').requestable()).map(({ role, isBreakGlass }) => [role, isBreakGlass]),
        [['writer', true]],
      )
      const { request, told } = await as('ola').access(wish)
      assert.deepEqual([request.state, told], ['approved', ['db-approvals']])
      const waits = await as('ben').requests({ which: 'review' })
      assert.deepEqual([waits[0]?.id, waits[0]?.access?.from], [request.id, 'break-glass'])
      assert.equal(await codeOf(() => as('ola').review(request.id, 'fine')), 'DENIED')
      assert.equal(await codeOf(() => as('ben', 'claude').review(request.id, 'fine')), 'DENIED')
      await as('ben').review(request.id, 'fine')
      assert.equal(await codeOf(() => as('kim').review(request.id, 'fine')), 'STALE')
      assert.deepEqual(await as('ben').requests({ which: 'review' }), [])
    })

    it('is not for an agent', async () => {
      assert.equal(await codeOf(() => as('ola', 'claude').access(wish)), 'DENIED')
      assert.deepEqual(await as('ola').grants({ all: false }), [])
    })
  })

  describe('after the policy has changed', () => {
    const empty = CATALOG_QUERIES.flatMap(({ part }) =>
      part === undefined
        ? []
        : [[part, part === 'session' ? ['{"path":["public"]}'] : []] as const],
    )
    const schema = { catalog: buildCatalog(new Map(empty)), memory: [] }
    const tools: RejudgeTools = {
      analyse: sql => analyse(sql),
      trace: () => assert.fail('nothing is masked'),
      schemaOf: async () => schema,
      extraOf: () => ({ grants: [], at: desk.clock.now() }),
      environmentOf: () => 'production',
    }
    const judged = (now: Policy, request: ApprovalRequest, more: Partial<RejudgeTools> = {}) =>
      rejudgeBy(now, request, { ...tools, ...more })
    const file = () => desk.approvals.holds.file(filing('DELETE FROM orders WHERE id = 1')).hold

    it('a statement takes what its rule asks for now', async () => {
      const two = await policyOf(
        SAMPLE.replace(
          '{ by: [dba], need: 1, self: false, expires: 15m }',
          '{ by: [dba], need: 2, expires: 5m }',
        ),
      )
      const now = await judged(two, file())
      assert.deepEqual([now.outcome, now.outcome === 'hold' && now.terms.need], ['hold', 2])
    })

    it('a statement is denied by a rule that was not there when it was filed', async () => {
      const frozen = `rules:
  - name: frozen
    on: [prod]
    when: { kind: [DELETE] }
    then: deny
    say: No deletes today.
    next: Wait for tomorrow.
`
      const stricter = await policyOf(SAMPLE.replace('rules:\n', frozen))
      const hold = file()
      assert.deepEqual(await judged(stricter, hold), { outcome: 'deny', rule: 'frozen' })
      const prepared = { ...hold, statement: { ...hold.statement, scope: { 'prepared p': 'x' } } }
      assert.equal((await judged(stricter, prepared)).outcome, 'hold')
    })

    it('a statement whose requester has lost the role is denied', async () => {
      const others = await policyOf(SAMPLE.replace('groups: [engineering]', 'groups: [other]'))
      const hold = { ...file(), groups: ['engineering'] }
      assert.deepEqual(await judged(others, hold), { outcome: 'deny', rule: 'role writer' })
    })

    it('a statement that is not held any more takes what it took', async () => {
      const looser = await policyOf(
        SAMPLE.replace('when: { class: write, unless', 'when: { class: ddl, unless'),
      )
      assert.deepEqual(await judged(looser, file()), { outcome: 'allow' })
    })

    it('nothing is decided where it cannot be judged again', async () => {
      const unread = { schemaOf: async () => undefined }
      assert.equal(await codeOf(() => judged(policy, file(), unread)), 'UPSTREAM')
    })

    it('a role that nobody can be asked for any more is not given', async () => {
      const { request } = await as('lee').access({
        target: 'prod',
        role: 'writer',
        reason: 'x',
        isBreakGlass: false,
      })
      const found = desk.store.find(request.id)
      assert(found !== undefined)
      assert.equal((await judged(policy, found)).outcome, 'hold')
      const gone = await policyOf(
        'version: 1\nroles: { writer: { may: [write] } }\npeople: [{ groups: [dba], roles: { prod: writer } }]\n',
      )
      assert.equal((await judged(gone, found)).outcome, 'deny')
    })
  })

  describe('why', () => {
    it('is told of one’s own rights', async () => {
      const found = await as('ana').explain({ sql: 'drop table orders', target: 'prod' })
      assert.equal(found.verdict, 'denied')
      assert.ok(
        found.rules.some(({ name, matched }) => name === 'no-drop-prod' && matched === 'yes'),
      )
      assert.equal(
        await codeOf(() => as('lee').explain({ sql: '', target: 'nowhere' })),
        'NO_TARGET',
      )
    })

    it('is told of others to auditors only', async () => {
      const query = { sql: 'select 1', target: 'prod', groups: ['support'] }
      assert.equal(await codeOf(() => as('ben').explain(query)), 'DENIED')
      const found = await as('kim').explain(query)
      assert.deepEqual([found.verdict, found.role.name], ['allowed', 'reader'])
    })
  })

  describe('a request that no client of ours sends', () => {
    const json = { authorization: 'Bearer ben', 'content-type': 'application/json' }

    it('is refused without a sign-in, of another type, or too long', async () => {
      const path = 'requests/h-2222/approve'
      const status = async (headers: Record<string, string>, body?: string) =>
        (await raw('POST', path, headers, body)).status
      assert.equal(await status({ 'content-type': 'application/json' }, '{}'), 401)
      assert.equal(await status({ ...json, 'content-type': 'text/plain' }, '{}'), 400)
      assert.equal(await status(json, '[]'), 400)
      assert.equal(await status(json, '{"comment": 7}'), 400)
      assert.equal(await status(json, JSON.stringify({ comment: 'x'.repeat(70_000) })), 413)
      assert.equal(
        await status({ ...json, 'transfer-encoding': 'chunked' }, `"${'x'.repeat(70_000)}"`),
        413,
      )
      assert.equal(await status(json, '{}'), 404)
    })

    it('gets nothing that would let a page of another site read the answer', async () => {
      const { headers } = await raw('GET', 'requests', { ...json, origin: 'https://evil.example' })
      assert.deepEqual(
        Object.keys(headers).filter(name => name.startsWith('access-control')),
        [],
      )
      assert.equal((await raw('OPTIONS', 'requests', json)).status, 404)
      assert.equal((await raw('PUT', 'requests/h-2222/approve', json)).status, 404)
    })
  })
})
