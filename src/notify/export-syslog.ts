import { createSocket } from 'node:dgram'
import { readFile } from 'node:fs/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ExportSink } from '../config/index.ts'
import { systemCode } from '../errors.ts'
import type { Sender } from './export-http.ts'
import { type ExportedEvent, eventJson, type Severity, severityOf } from './exported-event.ts'

type SyslogSink = ExportSink & { kind: 'syslog' }

/** "Log audit" of RFC 5424. */
const FACILITY = 13
const SEVERITIES: Readonly<Record<Severity, number>> = { error: 3, warning: 4, info: 6 }
/** What a datagram holds without being cut on its way by most collectors. */
const MAX_DATAGRAM_BYTES = 8192

/**
 * One event as a message of RFC 5424: `<110>1 2026-03-02T11:20:07.123Z host dbgate - statement - {…}`. The
 * JSON is ASCII, so that no byte order mark has to say what it is.
 */
export function syslogMessage(event: ExportedEvent, host: string): string {
  const { t, type } = event.record
  const priority = FACILITY * 8 + SEVERITIES[severityOf(event)]
  const time = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(t) ? t : '-'
  const id = type.replace(/[^!-~]/g, '').slice(0, 32) || '-'
  const name = host.replace(/[^!-~]/g, '').slice(0, 255) || '-'
  return `<${priority}>1 ${time} ${name} dbgate - ${id} - ${eventJson(event)}`
}

/** Sends to a collector over one connection that is opened when there is something to send. */
export function syslogSender(sink: SyslogSink, { host }: { readonly host: string }): Sender {
  if (sink.transport === 'udp') return udpSender(sink, host)
  let line: Socket | undefined
  const close = (): void => {
    line?.destroy()
    line = undefined
  }
  return {
    isUnanswered: true,
    close,
    send: async (events, signal) => {
      try {
        // Lost since the last batch, of which some may never have arrived: said, so that it is sent again.
        if (line?.writable === false) throw new Error('the connection was lost')
        line ??= await open(sink, signal)
        const frames = events.map(event => {
          const message = syslogMessage(event, host)
          return `${Buffer.byteLength(message)} ${message}`
        })
        await write(line, frames.join(''), signal)
      } catch (cause) {
        close()
        throw new Error(signal.aborted ? 'no connection in time' : wordsOf(cause))
      }
    },
  }
}

async function open(sink: SyslogSink, signal: AbortSignal): Promise<Socket> {
  const { host, port } = sink
  const ca = sink.ca === undefined ? undefined : await readFile(sink.ca)
  const servername = isIP(host) === 0 ? { servername: host } : {}
  const isTls = sink.transport === 'tls'
  const socket = isTls
    ? connectTls({ host, port, ...(ca === undefined ? {} : { ca }), ...servername })
    : connectTcp({ host, port })
  await settled(socket, isTls ? 'secureConnect' : 'connect', signal)
  socket.unref()
  // A collector that ends or answers says nothing that we need; what failed shows at the next write.
  socket.on('error', () => socket.destroy())
  socket.resume()
  socket.on('end', () => socket.destroy())
  return socket
}

function settled(socket: Socket, event: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: unknown): void => {
      socket.off('error', end)
      signal.removeEventListener('abort', abort)
      if (error === undefined) resolve()
      else {
        socket.on('error', () => undefined)
        socket.destroy()
        reject(error)
      }
    }
    const abort = (): void => end(new Error('no connection in time'))
    socket.once('error', end)
    socket.once(event, () => end())
    signal.addEventListener('abort', abort)
  })
}

function write(socket: Socket, text: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const lost = (): void => reject(new Error('the connection was lost'))
    socket.once('close', lost)
    signal.addEventListener('abort', lost, { once: true })
    socket.write(text, error => {
      socket.off('close', lost)
      signal.removeEventListener('abort', lost)
      if (error === undefined || error === null) resolve()
      else reject(error)
    })
  })
}

function udpSender(sink: SyslogSink, host: string): Sender {
  const socket = createSocket(isIP(sink.host) === 6 ? 'udp6' : 'udp4')
  socket.on('error', () => undefined)
  socket.unref()
  return {
    isUnanswered: false,
    close: () => socket.close(),
    send: async events => {
      for (const event of events) {
        const message = Buffer.from(syslogMessage(cut(event), host)).subarray(0, MAX_DATAGRAM_BYTES)
        await new Promise<void>((resolve, reject) =>
          socket.send(message, sink.port, sink.host, error =>
            error === null ? resolve() : reject(new Error(wordsOf(error))),
          ),
        )
      }
    },
  }
}

/** Without most of its text where it does not fit into a datagram. */
function cut(event: ExportedEvent): ExportedEvent {
  const { record, sha256 } = event
  if (!('text' in record) || eventJson(event).length < MAX_DATAGRAM_BYTES - 600) return event
  const { text = '' } = record
  const short = { ...record, text: text.slice(0, 1000), textLeftOut: text.length - 1000 }
  return { sha256, record: { ...short, textBase64: undefined } }
}

function wordsOf(cause: unknown): string {
  return systemCode(cause) ?? (cause instanceof Error ? cause.message : 'the connection failed')
}
