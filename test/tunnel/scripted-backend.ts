import type { Socket } from 'node:net'
import {
  decodeFrontend,
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeParameterStatus,
  encodeReadyForQuery,
  FrameReader,
  frontendName,
  readStartupPacket,
  type StartupMessage,
} from '../../src/wire/index.ts'

/** What a scripted backend saw. */
export type Seen = {
  startups: StartupMessage[]
  queries: string[]
  cancels: number
  terminated: number
}

/** A message with a tag and a body. */
export function message(tag: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5)
  header.write(tag, 0, 'latin1')
  header.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([header, body])
}

/** A result of one text column named `value`, with a row for each text, then ReadyForQuery. */
export function rows(values: readonly string[]): Buffer {
  const description = Buffer.concat([
    Buffer.from([0, 1]),
    Buffer.from('value\0'),
    Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]),
  ])
  return Buffer.concat([
    message('T', description),
    ...values.map(value => {
      const text = Buffer.from(value)
      const length = Buffer.alloc(4)
      length.writeInt32BE(text.length)
      return message('D', Buffer.concat([Buffer.from([0, 1]), length, text]))
    }),
    message('C', Buffer.from(`SELECT ${values.length}\0`)),
    encodeReadyForQuery('I'),
  ])
}

export function emptySeen(): Seen {
  return { startups: [], queries: [], cancels: 0, terminated: 0 }
}

/**
 * Stands behind a tunnel as the gate would: signs everyone in without a question and answers each simple
 * query with one row that repeats its text.
 */
export function echoBackend(seen: Seen, answer = (text: string): Buffer => rows([text])) {
  return (socket: Socket): void => {
    let pending: Buffer = Buffer.alloc(0)
    let reader: FrameReader | undefined
    socket.on('end', () => socket.end())
    socket.on('data', (read: Buffer | string) => {
      let chunk = Buffer.from(read as Buffer)
      if (reader === undefined) {
        pending = Buffer.concat([pending, chunk])
        const opening = readStartupPacket(pending)
        if (opening === null) return
        chunk = Buffer.from(pending.subarray(opening.bytes))
        if (opening.packet.type === 'CancelRequest') {
          seen.cancels += 1
          socket.end()
          return
        }
        if (opening.packet.type !== 'StartupMessage') throw new Error('unexpected packet')
        seen.startups.push(opening.packet.startup)
        socket.write(
          Buffer.concat([
            encodeAuthenticationOk(),
            encodeParameterStatus('server_version', '16.4'),
            encodeParameterStatus('client_encoding', 'UTF8'),
            encodeParameterStatus('standard_conforming_strings', 'on'),
            encodeBackendKeyData(4711, Buffer.from([1, 2, 3, 4])),
            encodeReadyForQuery('I'),
          ]),
        )
        reader = new FrameReader({ nameOf: frontendName, maxFrameBytes: 1 << 24, streamed: [] })
      }
      reader.push(chunk)
      for (let frame = reader.next(); frame !== null; frame = reader.next()) {
        const decoded = decodeFrontend(frame)
        if (decoded.type === 'Terminate') {
          seen.terminated += 1
          socket.end()
        }
        if (decoded.type === 'Query') {
          const text = decoded.text.toString('utf8')
          seen.queries.push(text)
          socket.write(answer(text))
        }
      }
    })
  }
}
