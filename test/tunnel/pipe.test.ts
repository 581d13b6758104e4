import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join, type PipeEnd } from '../../src/tunnel/pipe.ts'
import { encodeReadyForQuery, encodeTerminate } from '../../src/wire/index.ts'
import { until } from '../helpers/run.ts'

/** Two connections over real sockets with the pipe between them: client ⇄ downstream ⇄ upstream ⇄ server. */
type Bench = {
  readonly client: Socket
  readonly server: Socket
  readonly downstream: Socket
  readonly upstream: Socket
  readonly ends: PipeEnd[]
}

const LOST = Buffer.from('LOST')

describe('tunnel/pipe', () => {
  let listener: Server
  let open: Socket[]
  before(done => {
    listener = createServer({ allowHalfOpen: true })
    listener.listen(0, '127.0.0.1', done)
  })
  after(() => {
    listener.close()
  })
  beforeEach(() => {
    open = []
  })
  afterEach(() => {
    for (const socket of open) socket.destroy()
  })

  async function pair(): Promise<readonly [Socket, Socket]> {
    const address = listener.address()
    if (typeof address !== 'object' || address === null) throw new Error('not listening')
    const accepted = once(listener, 'connection')
    const near = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true })
    const [far] = (await accepted) as [Socket]
    for (const socket of [near, far]) socket.on('error', () => {})
    open.push(near, far)
    return [near, far]
  }

  async function bench(): Promise<Bench> {
    const [client, downstream] = await pair()
    const [upstream, server] = await pair()
    const ends: PipeEnd[] = []
    join(downstream, upstream, LOST, end => ends.push(end))
    return { client, server, downstream, upstream, ends }
  }

  it('passes bytes both ways as they are', async () => {
    const { client, server } = await bench()
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 256))
    client.end(sent)
    server.end(sent.toReversed())
    const [there, back] = await Promise.all([readAll(server), readAll(client)])
    assert.deepEqual(there, sent)
    assert.deepEqual(back, Buffer.from(sent.toReversed()))
  })

  it('passes the end of one direction on while the other still runs', async () => {
    const { client, server, ends } = await bench()
    client.end('last words')
    assert.equal((await readAll(server)).toString(), 'last words')
    assert.deepEqual(ends, [])
    server.write('still ')
    server.end('talking')
    assert.equal((await readAll(client)).toString(), 'still talking')
    await until('both closed', () => ends.length === 1)
    assert.deepEqual(ends, ['closed'])
  })

  it("passes the server's end on while the client still talks", async () => {
    const { client, server } = await bench()
    server.end('bye')
    assert.equal((await readAll(client)).toString(), 'bye')
    client.end('but wait')
    assert.equal((await readAll(server)).toString(), 'but wait')
  })

  it('stops reading from a server whose client does not read', async () => {
    const { client, server, downstream } = await bench()
    client.pause()
    const chunk = Buffer.alloc(64 * 1024)
    let sent = 0
    // Write until the pipe pushes back all the way: 64 MiB would fit in no socket buffer.
    while (sent < 64 * 1024 * 1024) {
      sent += chunk.length
      if (!server.write(chunk) && !(await drained(server))) break
    }
    assert.ok(sent < 64 * 1024 * 1024, 'the server was never stopped')
    assert.ok(
      downstream.writableLength <= 256 * 1024,
      `${downstream.writableLength} bytes are held here`,
    )
    const received = readAll(client)
    client.resume()
    server.end()
    assert.equal((await received).length, sent)
  })

  it('stops reading from a client whose server does not read', async () => {
    const { client, server, upstream } = await bench()
    server.pause()
    const chunk = Buffer.alloc(64 * 1024)
    let sent = 0
    while (sent < 64 * 1024 * 1024) {
      sent += chunk.length
      if (!client.write(chunk) && !(await drained(client))) break
    }
    assert.ok(sent < 64 * 1024 * 1024, 'the client was never stopped')
    assert.ok(
      upstream.writableLength <= 256 * 1024,
      `${upstream.writableLength} bytes are held here`,
    )
  })

  it('tells a client between two queries that the connection was lost', async () => {
    const { client, server, ends } = await bench()
    const received = readAll(client)
    server.write(encodeReadyForQuery('I'))
    await once(client, 'readable').catch(() => {})
    server.resetAndDestroy()
    assert.equal((await received).subarray(6).toString(), 'LOST')
    client.end()
    await until('both closed', () => ends.length === 1)
    assert.deepEqual(ends, ['upstream-lost'])
  })

  it('says nothing of its own in the middle of an answer', async () => {
    const { client, server, ends } = await bench()
    const received = readAll(client)
    server.write('D half a row')
    await until('arrived', () => client.bytesRead > 0)
    server.destroy()
    assert.equal((await received).toString(), 'D half a row')
    client.end()
    await until('both closed', () => ends.length === 1)
    assert.deepEqual(ends, ['closed'])
  })

  it('says nothing to a client that has said goodbye', async () => {
    const { client, server } = await bench()
    const received = readAll(client)
    server.write(encodeReadyForQuery('I'))
    client.write(encodeTerminate())
    await until('goodbye arrived', () => server.read() !== null)
    server.end()
    assert.equal((await received).length, 6)
  })

  it("adds nothing to the server's own farewell", async () => {
    const { client, server } = await bench()
    const received = readAll(client)
    server.write(encodeReadyForQuery('I'))
    await until('arrived', () => client.bytesRead > 0)
    server.end('E FATAL')
    assert.equal((await received).subarray(6).toString(), 'E FATAL')
  })

  it('lets go of the server when the client resets its connection', async () => {
    const { client, server, ends } = await bench()
    client.write('x')
    await until('arrived', () => server.read() !== null)
    client.resetAndDestroy()
    await until('both closed', () => ends.length === 1)
  })

  it('ends at once when one side is gone before it begins', async () => {
    const [client, downstream] = await pair()
    const [upstream] = await pair()
    downstream.destroy()
    const ends: PipeEnd[] = []
    join(downstream, upstream, LOST, end => ends.push(end))
    assert.deepEqual(ends, ['closed'])
    assert.ok(upstream.destroyed)
    client.destroy()
  })
})

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(Buffer.from(chunk)))
  await once(socket, 'end')
  return Buffer.concat(chunks)
}

/** True if the socket takes more soon; false if whoever reads it has stopped. */
async function drained(socket: Socket): Promise<boolean> {
  const deadline = AbortSignal.timeout(400)
  return once(socket, 'drain', { signal: deadline }).then(
    () => true,
    () => false,
  )
}
