import { createHash, X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Socket } from 'node:net'
import { FIRST } from './certificates.ts'

/** Answers to plain requests by "METHOD /path", status and JSON. */
export type Routes = Record<
  string,
  (request: IncomingMessage) => readonly [status: number, body: unknown]
>

export type ScriptedServer = {
  readonly url: string
  readonly pin: string
  readonly port: number
  /** Upgrades granted so far, by the token they came with. */
  readonly upgrades: IncomingMessage[]
  /** Tunnels that are open now. */
  readonly tunnels: Set<Socket>
  /** Drops every connection and the port, as a killed process would. */
  kill(): Promise<void>
}

export type ScriptedServerOptions = {
  readonly port?: number
  readonly certificate?: { readonly key: string; readonly cert: string }
  readonly routes?: Routes
  /** Refuses an upgrade with this status and body instead of opening the tunnel. */
  readonly refuse?: (
    request: IncomingMessage,
  ) => readonly [status: number, body: unknown] | undefined
  /** What stands behind the tunnels. */
  readonly onTunnel: (socket: Socket) => void
}

/** The server's end of the contract: HTTPS and `Upgrade: dbgate-postgres` on one port. */
export async function scriptedServer(options: ScriptedServerOptions): Promise<ScriptedServer> {
  const certificate = options.certificate ?? FIRST
  const sockets = new Set<Socket>()
  const tunnels = new Set<Socket>()
  const upgrades: IncomingMessage[] = []
  const server = createServer(
    { ...certificate, allowHalfOpen: true } as object,
    (request, response) => {
      const route = options.routes?.[`${request.method} ${request.url?.split('?')[0]}`]
      const [status, body] = route?.(request) ?? [404, failure('NO_TARGET', 'not found')]
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    },
  )
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('upgrade', (request, socket: Socket) => {
    socket.on('error', () => {})
    socket.setNoDelay(true)
    const refused = options.refuse?.(request)
    if (refused !== undefined) {
      const body = JSON.stringify(refused[1])
      socket.end(
        `HTTP/1.1 ${refused[0]} No\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      )
      return
    }
    upgrades.push(request)
    tunnels.add(socket)
    socket.on('close', () => tunnels.delete(socket))
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: dbgate-postgres\r\n\r\n',
    )
    options.onTunnel(socket)
  })
  const port = await listen(server, options.port ?? 0)
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    pin: createHash('sha256').update(new X509Certificate(certificate.cert).raw).digest('hex'),
    upgrades,
    tunnels,
    kill: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** The body of an error answer, as the contract has it. */
export function failure(code: string, message: string): unknown {
  return { v: 1, ok: false, error: { code, message, exit: 1, retryable: false } }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}
