import { platform, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { asDbgateError, DbgateError } from '../errors.ts'
import { Indexer } from './indexer.ts'
import type { Answer, Asked, Question, Told, WorkerOptions } from './messages.ts'

/** How often the worker looks whether the log has grown. */
const LOOK_MS = 2000
/**
 * While the log grows faster than this between two looks, statements are running that need the processor
 * more than the index does: it can wait, since whoever asks waits for it anyway.
 */
const BUSY_BYTES = 128 * 1024
/** But not longer than until so much is left to read, which takes a second or two. */
const MAX_BEHIND_BYTES = 24 * 1024 * 1024
/** Of 19 (least) to 0: when all cores are busy, sessions go first. */
const NICENESS = 5

/** The worker that owns the index: one question after the other, and in between it follows the log when that is quiet. */
function run(options: WorkerOptions): void {
  // On Linux 0 is the calling thread; elsewhere it would be the whole process.
  if (platform() === 'linux') setPriority(0, NICENESS)
  const indexer = new Indexer(options.logDir, options.file)
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = (work: () => Promise<unknown>) => {
    turn = turn.then(work)
    return turn
  }
  let lastBehind = 0
  const look = async () => {
    const behind = indexer.behindBytes()
    const isBusy = behind - lastBehind > BUSY_BYTES && behind < MAX_BEHIND_BYTES
    lastBehind = isBusy ? behind : 0
    if (behind > 0 && !isBusy) await indexer.catchUp()
  }
  const follow = () => {
    // Whoever asks next gets the error; on its own the worker only tries again.
    inTurn(() => look().catch(() => undefined)).then(
      () => setTimeout(follow, LOOK_MS).unref(),
      () => undefined,
    )
  }
  parentPort?.on('message', ({ number, question }: Asked) => {
    inTurn(async () => {
      parentPort?.postMessage(await answer(indexer, number, question))
      if (question.ask === 'close') parentPort?.close()
    }).catch(() => undefined)
  })
  parentPort?.postMessage({ number: 0, value: undefined })
  follow()
}

async function answer(indexer: Indexer, number: number, question: Question): Promise<Answer> {
  try {
    return { number, value: await ask(indexer, question) }
  } catch (error) {
    return { number, error: tell(error) }
  }
}

async function ask(indexer: Indexer, question: Question): Promise<unknown> {
  switch (question.ask) {
    case 'search':
      return indexer.search(question.query, question.options)
    case 'count':
      return indexer.count(question.query, question.options)
    case 'sessions':
      return indexer.sessions(question.filter)
    case 'status':
      return indexer.status()
    case 'rebuild':
      return indexer.rebuild()
    case 'close':
      return indexer.close()
  }
}

function tell(thrown: unknown): Told {
  const { code, message, detail, hint, next, cause } = asDbgateError(inWords(thrown))
  const shown =
    cause instanceof Error ? cause.stack : cause === undefined ? undefined : String(cause)
  return { code, message, detail, hint, next, cause: shown }
}

/** SQLite's own errors (disk full, locked …) say what is wrong with the index, not with us. */
function inWords(thrown: unknown): unknown {
  if (!(thrown instanceof Error && 'errcode' in thrown)) return thrown
  return new DbgateError('INTERNAL', 'audit index cannot be used', {
    detail: `SQLite says: ${thrown.message}. The log itself is not touched by this.`,
    cause: thrown,
  })
}

run(workerData)
