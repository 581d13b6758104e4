import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { MAX_QUEUED } from '../../src/notify/channel.ts'
import { ben, Desk, filing, MINUTE, p1, person, terms, voter } from '../approval/builders.ts'
import { fastClock, notifications, Receiver, SECRET, slack, until, webhook } from './receiver.ts'

describe('notify', () => {
  let desk: Desk
  let receiver: Receiver
  let notify: ReturnType<typeof notifications>['notify']
  let problems: ReturnType<typeof notifications>['problems']

  beforeEach(async () => {
    desk = new Desk()
    receiver = new Receiver()
    await receiver.listen()
  })
  afterEach(async () => {
    receiver.answer = response => void response.end()
    await notify.close(200)
    await receiver.close()
    desk.close()
  })

  function start(...args: Parameters<typeof notifications>): void {
    ;({ notify, problems } = notifications(...args))
    desk.approvals.listen(event => notify.tell(event))
  }
  const startSlack = () => start([slack()], { HOOK: `${receiver.url}/T0/s3cret` })
  const startWebhook = (clock = fastClock(100)) =>
    start([webhook(`${receiver.url}/in`)], { KEY: SECRET }, clock)
  const file = (text: string, more?: Parameters<typeof filing>[1]) =>
    desk.approvals.holds.file(filing(text, more)).hold
  const gets = (count: number) =>
    until(() => receiver.got.length >= count, `${count} messages, got ${receiver.got.length}`)

  it('shows a card with who, what and the command to type', async () => {
    startSlack()
    const { id } = file("DELETE FROM orders WHERE status = 'stale'")
    await gets(1)
    assert.equal(receiver.got[0]?.path, '/T0/s3cret')
    const text = receiver.texts[0] ?? ''
    assert.match(text, new RegExp(`^\\*${id}\\* a statement waits for approval\n`))
    for (const part of [
      'who      ana@acme.dev via claude\n',
      'target   prod as writer\n',
      'rule     prod-writes\n',
      'needs    1 of @dba\n',
      "```\nDELETE FROM orders WHERE status = 'stale'\n```",
      `dbgate approve ${id}`,
    ]) {
      assert.ok(text.includes(part), `${part} in ${text}`)
    }
    assert.deepEqual(problems, [])
  })

  it('tells each kind of event once, in order', async () => {
    startWebhook()
    await desk.approved('DELETE FROM a')
    const denied = file('DELETE FROM b')
    await desk.approvals.decide({ id: denied.id, vote: 'deny', comment: 'no' }, voter(ben), p1)
    const access = { rule: 'access', policy: 'p1', notify: ['db-approvals'] } as const
    const wish = { target: 'prod', role: 'dba', forMs: MINUTE, reason: 'INC-1', ticket: undefined }
    desk.approvals.access.breakGlass(person('kim'), '', wish, {
      ...{ ...access, maxMs: MINUTE, reason: 'required' },
      ...{ reviewWithinMs: MINUTE, reviewers: ['sec'] },
    })
    file('DELETE FROM c', { terms: terms(['dba'], 1, { expiresMs: 1000 }) })
    desk.clock.pass(2000)
    desk.approvals.expireDue()
    await gets(7)
    assert.deepEqual(
      receiver.bodies.map(({ event }) => event),
      ['filed', 'approved', 'filed', 'denied', 'break-glass', 'filed', 'expired'],
    )
    assert.equal(receiver.bodies[3]?.by, 'ben@acme.dev')
    assert.equal(receiver.bodies[4]?.user, 'kim@acme.dev')
  })

  it('tells nobody of a request that names no channel, and reports one that is not there', async () => {
    startWebhook()
    file('DELETE FROM a', { notify: [] })
    file('DELETE FROM b', { notify: ['gone', 'db-approvals'] })
    await gets(1)
    assert.equal(receiver.bodies[0]?.sql, 'DELETE FROM b')
    assert.deepEqual(
      problems.map(({ channel, what }) => [channel, what]),
      [['gone', 'given-up']],
    )
  })

  it('signs time and body, so that the receiver can check both', async () => {
    startWebhook()
    file('DELETE FROM orders')
    await gets(1)
    const [message] = receiver.got
    assert.ok(message !== undefined)
    const { headers, body } = message
    const [, time, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(
      String(headers['x-dbgate-signature']),
    ) ?? ['', '', '']
    assert.equal(v1, createHmac('sha256', SECRET).update(`${time}.${body}`).digest('hex'))
    assert.ok(Math.abs(Number(time) * 1000 - Date.now()) < 60_000)
    assert.equal(headers['content-type'], 'application/json')
  })

  it('keeps the order and repeats under the same id after errors and a broken connection', async () => {
    startWebhook()
    receiver.answer = (response, index) => {
      if (index === 0) response.writeHead(500).end()
      else if (index === 1) response.destroy()
      else if (index === 2) response.writeHead(429).end()
      else response.end()
    }
    const first = file('DELETE FROM a')
    const second = file('DELETE FROM b')
    await gets(5)
    const ids = receiver.bodies.map(({ request }) => request)
    assert.deepEqual(ids, [first.id, first.id, first.id, first.id, second.id])
    assert.equal(new Set(receiver.bodies.slice(0, 4).map(({ id }) => id)).size, 1)
    assert.deepEqual(
      problems.map(({ what, why }) => [what, why]),
      [['late', 'HTTP 500']],
    )
  })

  it('tries again when there is no answer in time', async () => {
    startWebhook(fastClock(50))
    receiver.answer = (response, index) => void (index === 0 || response.end())
    file('DELETE FROM a')
    await gets(2)
    assert.equal(problems[0]?.why, 'no answer in time')
  })

  it('gives up at once on what will not get better, and the next message says so', async () => {
    startSlack()
    receiver.answer = (response, index) => void response.writeHead(index === 0 ? 404 : 200).end()
    const { id } = file('DELETE FROM a')
    file('DELETE FROM b')
    await gets(2)
    assert.match(receiver.texts[1] ?? '', /\n1 earlier messages could not be delivered\.$/)
    assert.deepEqual(problems, [
      { channel: 'db-approvals', what: 'given-up', why: 'HTTP 404', request: id },
    ])
  })

  it('follows no redirect', async () => {
    startSlack()
    receiver.answer = (response, index) =>
      void response.writeHead(index === 0 ? 307 : 200, { location: '/elsewhere' }).end()
    file('DELETE FROM a')
    file('DELETE FROM b')
    await gets(2)
    assert.deepEqual([...new Set(receiver.got.map(({ path }) => path))], ['/T0/s3cret'])
    assert.equal(problems[0]?.why, 'HTTP 307, and redirects are not followed')
  })

  it('drops the oldest of too many and says how many', async () => {
    startWebhook(fastClock(1))
    let release = (): void => undefined
    receiver.answer = (response, index) => {
      if (index === 0) release = () => void response.end()
      else response.end()
    }
    file('DELETE FROM first')
    await gets(1)
    for (let index = 0; index < MAX_QUEUED + 3; index += 1) {
      file(`DELETE FROM t${index}`, { principal: person(`user${index}`) })
    }
    assert.deepEqual(
      problems.map(({ what }) => what),
      ['dropped', 'dropped', 'dropped'],
    )
    release()
    await gets(MAX_QUEUED + 1)
    assert.equal(receiver.bodies[1]?.sql, 'DELETE FROM t3')
    assert.equal(receiver.bodies[1]?.missed, 3)
    assert.equal(receiver.bodies[2]?.missed, 0)
  })

  it('makes hostile text inert and shows no more than 500 characters of it', async () => {
    start([slack(), webhook(receiver.url, 'siem')], { HOOK: receiver.url, KEY: SECRET })
    const hostile = `SELECT '\u001b[2J\u202e<!channel>\`\`\` *ok* <https://evil.example|here>'`
    file(hostile + 'x'.repeat(10_000), {
      notify: ['db-approvals', 'siem'],
      agent: 'claude`\n<!here>\u0007',
    })
    await gets(2)
    const text = receiver.texts.find(each => each !== 'undefined') ?? ''
    assert.doesNotMatch(text, /[<>\u0007\u001b\u202e]/)
    assert.equal(text.split('```').length, 7)
    assert.match(text, /via claudeˋ␊&lt;!here&gt;␇\n/)
    assert.match(text, /␛\[2J&lt;U\+202E&gt;&lt;!channel&gt;ˋˋˋ/)
    assert.match(text, new RegExp(`${hostile.length + 10_000 - 500} more characters are not shown`))
    const { sql } = receiver.bodies.find(each => 'sql' in each) ?? {}
    assert.doesNotMatch(String(sql), /[\u001b\u202e]/)
    assert.ok(String(sql).length < 550)
  })

  it('never has parameters, in no message of either kind', async () => {
    start([slack(), webhook(receiver.url, 'siem')], { HOOK: receiver.url, KEY: SECRET })
    const plain = filing('DELETE FROM people WHERE ssn = $1')
    const { hold } = desk.approvals.holds.file({
      ...plain,
      shown: { ...plain.shown, parameters: ['078-05-1120'] },
      notify: ['db-approvals', 'siem'],
    })
    await desk.approvals.decide({ id: hold.id, vote: 'approve' }, voter(ben), p1)
    await gets(4)
    for (const { body } of receiver.got) assert.doesNotMatch(body, /078-05-1120|parameters/)
  })

  it('keeps nobody waiting who decides, however slow the receiver is', async () => {
    startWebhook(fastClock(1))
    receiver.answer = () => undefined
    const { id } = file('DELETE FROM a')
    await gets(1)
    const { request } = await desk.approvals.decide({ id, vote: 'approve' }, voter(ben), p1)
    assert.equal(request.state, 'approved')
    assert.equal(receiver.got.length, 1)
    assert.deepEqual(problems, [])
  })

  it('sends what waits to the new address after a reload, and drops a channel that is gone', async () => {
    const gone = { HOOK: 'http://127.0.0.1:1/s3cret', KEY: SECRET }
    start([slack(), slack('old')], gone, fastClock(1))
    file('DELETE FROM a', { notify: ['db-approvals', 'old'] })
    await until(() => problems.length === 2, 'both are late')
    notify.configure([webhook(receiver.url)])
    await gets(1)
    assert.equal(receiver.bodies[0]?.sql, 'DELETE FROM a')
    await until(() => problems.length === 3, 'one is given up')
    assert.deepEqual([problems[2]?.channel, problems[2]?.what], ['old', 'given-up'])
  })

  it('never reports an address, even one that is wrong', async () => {
    const secrets = {
      HOOK: 'https://[s3cret',
      A: 'http://192.0.2.1/s3cret',
      B: 'http://127.0.0.1:1/s3cret',
    }
    start([slack('x'), slack('a', 'A'), slack('b', 'B'), slack('c', 'C')], secrets)
    file('DELETE FROM a', { notify: ['x', 'a', 'b', 'c'] })
    await until(() => problems.length >= 4, 'four problems')
    assert.doesNotMatch(JSON.stringify(problems), /s3cret|192\.0|127\.0/)
  })

  it('ends within its grace when the receiver hangs, and reports what is left', async () => {
    startWebhook(fastClock(1))
    receiver.answer = () => undefined
    file('DELETE FROM a')
    file('DELETE FROM b')
    await gets(1)
    const start = performance.now()
    await notify.close(50)
    assert.ok(performance.now() - start < 2000)
    assert.deepEqual(
      problems.map(({ what }) => what),
      ['given-up', 'given-up'],
    )
  })
})
