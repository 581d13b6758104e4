import type { Socket } from 'node:net'

/** Why two joined sockets came apart. */
export type PipeEnd = 'closed' | 'upstream-lost'

/**
 * Joins a client's socket and its tunnel: bytes pass as they came, a reader that is slow stops the other
 * end's reading, and the end of one direction is passed on while the other still runs.
 *
 * Data listeners are synchronous and allocate nothing for a chunk. Sockets must have `allowHalfOpen`.
 *
 * @param lostMessage bytes for a client that was between two queries when the tunnel broke; a client in the
 *   middle of an answer just sees its connection close, because our message would be read as part of it.
 * @param onEnd called once, when both sockets are closed
 */
export function join(
  downstream: Socket,
  upstream: Socket,
  lostMessage: Buffer,
  onEnd: (end: PipeEnd) => void,
): void {
  // The last bytes that passed each way say whether a closed upstream is a loss: after ReadyForQuery and
  // without Terminate nobody had a reason to close. After a FATAL from the gate neither holds.
  let isAtRest = false
  let isTerminated = false
  let isLost = false
  let open = 2

  if (downstream.destroyed || upstream.destroyed) {
    downstream.destroy()
    upstream.destroy()
    onEnd('closed')
    return
  }
  downstream.on('data', chunk => {
    if (typeof chunk === 'string') return // Never: no encoding is set on either socket.
    isTerminated = endsInTerminate(chunk)
    if (!upstream.write(chunk)) downstream.pause()
  })
  upstream.on('data', chunk => {
    if (typeof chunk === 'string') return
    isAtRest = endsInReadyForQuery(chunk)
    if (!downstream.write(chunk)) upstream.pause()
  })
  downstream.on('drain', () => upstream.resume())
  upstream.on('drain', () => downstream.resume())
  downstream.on('end', () => {
    isTerminated = true
    upstream.end()
  })
  const upstreamGone = (): void => {
    if (downstream.writableEnded || downstream.destroyed) return
    isLost = isAtRest && !isTerminated
    if (isLost) downstream.end(lostMessage)
    else downstream.end()
  }
  upstream.on('end', upstreamGone)
  // An 'error' is always followed by 'close', where what follows is decided.
  downstream.on('error', ignore)
  upstream.on('error', ignore)
  const closed = (): void => {
    open -= 1
    if (open === 0) onEnd(isLost ? 'upstream-lost' : 'closed')
  }
  downstream.on('close', hadError => {
    // A client that reset its connection takes nothing back; one that just left has its last bytes delivered.
    if (hadError) upstream.destroy()
    else upstream.destroySoon()
    closed()
  })
  upstream.on('close', () => {
    upstreamGone()
    // Nobody is left to read what the client might still send, so its socket need not stay half open.
    downstream.destroySoon()
    closed()
  })
  downstream.resume()
  upstream.resume()
}

function ignore(): void {}

/** ReadyForQuery: 'Z', length 5, one status byte. Data that happens to look so costs one wrong message at a lost connection. */
function endsInReadyForQuery(chunk: Buffer): boolean {
  const at = chunk.length - 6
  return at >= 0 && chunk[at] === 0x5a && chunk.readInt32BE(at + 1) === 5
}

/** Terminate: 'X', length 4. */
function endsInTerminate(chunk: Buffer): boolean {
  const at = chunk.length - 5
  return at >= 0 && chunk[at] === 0x58 && chunk.readInt32BE(at + 1) === 4
}
