import { DbgateError } from '../errors.ts'

/** One event may hold a whole statement and what goes with it; a longer line is not one of ours. */
const MAX_LINE_BYTES = 512 * 1024 * 1024

/**
 * The JSON values of a stream, one a line; empty lines are signs of life.
 *
 * Throws: PROTOCOL a line that is no JSON, or too long, or after whose half the stream ended; UNREACHABLE
 * (08001) nothing came for `silenceMs`; what the stream throws.
 */
export async function* readLines(
  chunks: AsyncIterable<Buffer>,
  silenceMs: number,
): AsyncGenerator<unknown> {
  let parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of withoutSilence(chunks, silenceMs)) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...parts, chunk.subarray(from, end)])
      parts = []
      bytes = 0
      from = end + 1
      if (line.length > 0) yield parsed(line)
    }
    parts.push(chunk.subarray(from))
    bytes += chunk.length - from
    if (bytes > MAX_LINE_BYTES) throw malformed('a line is too long')
  }
  if (bytes > 0) throw malformed('it ended within a line')
}

function parsed(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'))
  } catch {
    throw malformed('a line is not JSON')
  }
}

function malformed(why: string): DbgateError {
  return new DbgateError('PROTOCOL', `unexpected answer of the server: ${why}`)
}

async function* withoutSilence<T>(values: AsyncIterable<T>, silenceMs: number): AsyncGenerator<T> {
  const iterator = values[Symbol.asyncIterator]()
  for (;;) {
    const { promise: silence, reject } = Promise.withResolvers<never>()
    const late = () => reject(new DbgateError('UNREACHABLE', 'the server has fallen silent'))
    const timer = setTimeout(late, silenceMs)
    const got = await Promise.race([iterator.next(), silence]).finally(() => clearTimeout(timer))
    if (got.done === true) return
    yield got.value
  }
}
