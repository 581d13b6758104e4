import assert from 'node:assert/strict'
import { createLocalAccount, LocalLogin, type LoginStep } from '../../src/tunnel/login.ts'
import {
  encodeSASLInitialResponse,
  encodeSASLResponse,
  encodeStartupMessage,
  SCRAM,
  ScramClient,
} from '../../src/wire/index.ts'

const random = (bytes: number): Buffer => Buffer.alloc(bytes, 7)
const account = createLocalAccount('ana', 'secret', random)
const SSL = Buffer.from('0000000804d2162f', 'hex')
const GSS = Buffer.from('0000000804d21630', 'hex')
const STARTUP = encodeStartupMessage(
  new Map([
    ['user', 'ana'],
    ['database', 'app'],
  ]),
)

/** Plays a client that pushes its bytes in pieces of `size` and returns every step. */
function signIn(password: string, size: number, trailing = Buffer.alloc(0)): readonly LoginStep[] {
  const login = new LocalLogin(account, random)
  const steps: LoginStep[] = []
  const push = (bytes: Buffer): Buffer => {
    let reply = Buffer.alloc(0)
    for (let at = 0; at < bytes.length; at += size) {
      for (const step of login.push(Buffer.from(bytes.subarray(at, at + size)))) {
        if (step.do !== 'read') steps.push(step)
        if (step.do === 'reply') reply = Buffer.from(step.bytes)
      }
    }
    return reply
  }
  push(Buffer.concat([SSL, GSS]))
  push(STARTUP)
  const client = new ScramClient(password, 'nonce', { flag: 'n' })
  const serverFirst = push(encodeSASLInitialResponse(SCRAM, client.first())).subarray(9).toString()
  push(Buffer.concat([encodeSASLResponse(client.final(serverFirst)), trailing]))
  return steps
}

describe('tunnel/login', () => {
  it('opens for the right password, however the bytes are cut', () => {
    for (let size = 1; size < 40; size += 1) {
      const steps = signIn('secret', size)
      assert.deepEqual(
        steps.map(step => step.do),
        ['reply', 'reply', 'reply', 'reply', 'open'],
        `pieces of ${size}`,
      )
      const last = steps.at(-1)
      assert.ok(last?.do === 'open')
      assert.deepEqual(last.startup, STARTUP)
      assert.equal(last.message.parameters.get('database'), 'app')
      assert.equal(last.rest.length, 0)
    }
  })

  it('hands on what the client sent after its last message', () => {
    const last = signIn('secret', 10_000, Buffer.from('early')).at(-1)
    assert.ok(last?.do === 'open')
    assert.equal(last.rest.toString(), 'early')
  })

  it('refuses the wrong password, however the bytes are cut', () => {
    for (const size of [1, 3, 10_000]) {
      const last = signIn('guess', size).at(-1)
      assert.ok(last?.do === 'refuse')
      assert.equal(last.error.sqlstate, '28P01')
    }
  })

  it('refuses a mechanism that it did not offer', () => {
    const login = new LocalLogin(account, random)
    login.push(STARTUP)
    const [step] = login.push(
      encodeSASLInitialResponse('SCRAM-SHA-256-PLUS', 'p=tls-server-end-point,,n=,r=x'),
    )
    assert.ok(step?.do === 'refuse')
    assert.equal(step.error.code, 'PROTOCOL')
  })

  it('refuses a message that is too long before it is complete', () => {
    const login = new LocalLogin(account, random)
    login.push(STARTUP)
    const [step] = login.push(Buffer.from([0x70, 0x7f, 0xff, 0xff, 0xff]))
    assert.ok(step?.do === 'refuse')
    assert.equal(step.error.code, 'TOO_LARGE')
  })

  it('refuses anything but the password where the password is due', () => {
    const login = new LocalLogin(account, random)
    login.push(STARTUP)
    const [step] = login.push(Buffer.from('Q\0\0\0\x0dselect 1\0', 'latin1'))
    assert.ok(step?.do === 'refuse')
    assert.equal(step.error.code, 'PROTOCOL')
  })

  it('drops a startup packet longer than PostgreSQL takes, on sight of its length', () => {
    const [step] = new LocalLogin(account, random).push(Buffer.from('00010000', 'hex'))
    assert.equal(step?.do, 'drop')
  })

  it('passes a cancel request on without a password', () => {
    const packet = Buffer.from('0000001004d2162e0000000100000002', 'hex')
    const [step] = new LocalLogin(account, random).push(packet)
    assert.ok(step?.do === 'cancel')
    assert.deepEqual(step.packet, packet)
  })
})
