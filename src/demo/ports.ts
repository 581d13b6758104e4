import { createServer } from 'node:net'

/** Returns a port of 127.0.0.1 nobody listens on right now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Returns the first port from `preferred` on that is free, or any free one after twenty tries. */
export async function portFrom(preferred: number): Promise<number> {
  for (let port = preferred; port < Math.min(preferred + 20, 65_536); port++) {
    if (await isFree(port)) return port
  }
  return freePort()
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
