/**
 * The thread for statements that are too large or too deep for the thread that serves sessions: the
 * same reading, on a stack of many megabytes. Its thread is killed when it takes too long, and
 * after a statement that broke it.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { openParser, ParserTrap } from './parser.ts'
import { type Reading, readStatements } from './read.ts'

/** Refusals of last resort: nothing of such a text may run. */
function readOrRefuse(read: () => Reading): {
  readonly reading: Reading
  readonly broken: boolean
} {
  try {
    return { reading: read(), broken: false }
  } catch (thrown) {
    const isDeep = thrown instanceof RangeError || thrown instanceof ParserTrap
    const reason = isDeep ? 'too-deep' : 'parser-failed'
    const message = isDeep ? 'statement is nested too deeply' : 'statement could not be analysed'
    return { reading: { ok: false, error: { message, position: undefined, reason } }, broken: true }
  }
}

const parser = await openParser(workerData.module)
parentPort?.on('message', (text: Uint8Array) => {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength)
  parentPort?.postMessage(readOrRefuse(() => readStatements(parser, bytes)))
})
