import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { DbgateError } from '../../src/errors.ts'
import { greet, query, type ResultSink, StatementFailed } from '../../src/tunnel/index.ts'
import { encodeErrorResponse, encodeReadyForQuery } from '../../src/wire/index.ts'
import { echoBackend, emptySeen, message, rows, type Seen } from './scripted-backend.ts'

const ACCOUNT = { user: 'ana', database: 'app', application: 'test' }

function collector() {
  const log: string[] = []
  const sink: ResultSink = {
    columns: columns => log.push(`columns ${columns.map(column => column.name)}`),
    row: values => {
      log.push(`row ${JSON.stringify(values)}`)
      return true
    },
    copied: bytes => {
      log.push(`copied ${bytes}`)
      return true
    },
    complete: tag => log.push(`complete ${tag}`),
    notice: fields => log.push(`notice ${fields.get('M')}`),
    resumed: resume => setImmediate(resume),
  }
  return { log, sink }
}

describe('tunnel/query', () => {
  let server: Server
  let seen: Seen
  let answer: (text: string) => Buffer
  let sockets: Socket[]
  beforeEach(done => {
    seen = emptySeen()
    sockets = []
    answer = text => rows([text])
    server = createServer({ allowHalfOpen: true }, socket => {
      sockets.push(socket)
      socket.on('error', () => {})
      echoBackend(seen, text => answer(text))(socket)
    })
    server.listen(0, '127.0.0.1', done)
  })
  afterEach(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  async function tunnel(): Promise<Socket> {
    const address = server.address()
    if (typeof address !== 'object' || address === null) throw new Error('not listening')
    const socket = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true })
    await once(socket, 'connect')
    return socket
  }

  it('hands on columns, rows and tag in order, and says goodbye', async () => {
    const { log, sink } = collector()
    await query(await tunnel(), { ...ACCOUNT, sql: 'select 1', sink })
    assert.deepEqual(log, ['columns value', 'row ["select 1"]', 'complete SELECT 1'])
    assert.equal(seen.startups[0]?.parameters.get('client_encoding'), 'UTF8')
  })

  it('tells the server version without asking anything', async () => {
    assert.deepEqual(await greet(await tunnel(), ACCOUNT), { serverVersion: '16.4' })
    assert.deepEqual(seen.queries, [])
  })

  it('throws the first error after what came before it', async () => {
    const error = new DbgateError('DENIED', 'dbgate: denied', { detail: 'Because.' })
    answer = () =>
      Buffer.concat([
        rows(['a']).subarray(0, -6),
        encodeErrorResponse(error),
        encodeReadyForQuery('I'),
      ])
    const { log, sink } = collector()
    const thrown = await query(await tunnel(), { ...ACCOUNT, sql: 'x', sink }).catch(
      caught => caught,
    )
    assert.ok(thrown instanceof StatementFailed)
    assert.deepEqual(
      ['C', 'M', 'D', 'R'].map(code => thrown.fields.get(code)),
      ['42501', 'dbgate: denied', 'Because.', 'dbgate:DENIED'],
    )
    assert.deepEqual(log.slice(0, 2), ['columns value', 'row ["a"]'])
  })

  it('waits while the sink is full', async () => {
    answer = () => rows(Array.from({ length: 2_000 }, (_, index) => `${index}`.padStart(500, '.')))
    const { sink } = collector()
    let [held, most, count] = [0, 0, 0]
    const slow: ResultSink = {
      ...sink,
      row: () => {
        count += 1
        held += 1
        most = Math.max(most, held)
        return held < 100
      },
      resumed: resume =>
        setTimeout(() => {
          held = 0
          resume()
        }, 2),
    }
    await query(await tunnel(), { ...ACCOUNT, sql: 'x', sink: slow })
    assert.equal(count, 2_000)
  })

  it('refuses to send data for COPY FROM STDIN', async () => {
    answer = () => message('G', Buffer.from([0, 0, 0]))
    const { sink } = collector()
    await assert.rejects(query(await tunnel(), { ...ACCOUNT, sql: 'copy t from stdin', sink }), {
      code: 'UNSUPPORTED',
    })
  })

  it('asks to cancel with the key it was given, and waits for the answer', async () => {
    const { sink } = collector()
    const interrupt = new AbortController()
    const sent: Buffer[] = []
    answer = () => {
      setImmediate(() => interrupt.abort())
      return Buffer.alloc(0)
    }
    const cancelled = new DbgateError('HOLD_EXPIRED', 'canceling statement due to user request')
    const asked = query(await tunnel(), {
      ...ACCOUNT,
      sql: 'select pg_sleep(600)',
      sink,
      signal: interrupt.signal,
      cancel: async packet => {
        sent.push(packet)
        sockets[0]?.write(Buffer.concat([encodeErrorResponse(cancelled), encodeReadyForQuery('I')]))
      },
    })
    const thrown = await asked.catch(caught => caught)
    assert.ok(thrown instanceof StatementFailed)
    assert.equal(thrown.fields.get('C'), '57014')
    assert.deepEqual(sent, [Buffer.from('0000001004d2162e0000126701020304', 'hex')])
  })

  it('fails when the tunnel ends in the middle', async () => {
    answer = () => {
      setImmediate(() => sockets[0]?.destroy())
      return rows(['a']).subarray(0, 20)
    }
    const { sink } = collector()
    await assert.rejects(query(await tunnel(), { ...ACCOUNT, sql: 'x', sink }), {
      code: 'UNREACHABLE',
    })
  })

  it('fails for what is no PostgreSQL', async () => {
    answer = () => Buffer.from('<html>Bad Request</html>')
    const { sink } = collector()
    await assert.rejects(query(await tunnel(), { ...ACCOUNT, sql: 'x', sink }), {
      code: 'PROTOCOL',
    })
  })
})
