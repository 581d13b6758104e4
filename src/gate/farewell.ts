import type { Duplex } from 'node:stream'

/** How long a peer has to take what was sent last and to close its own side. */
const LINGER_MS = 10_000

/**
 * Ends a connection: the last words go out, what still comes is thrown away until the peer has closed too (a
 * paused stream would never see that), and a peer that does not close is not waited for.
 */
export function endGently(stream: Duplex, lastWords?: Buffer): void {
  if (lastWords === undefined) stream.end()
  else stream.end(lastWords)
  if (stream.destroyed) return
  const timer = setTimeout(() => stream.destroy(), LINGER_MS).unref()
  stream.once('close', () => clearTimeout(timer))
  stream.resume()
}
