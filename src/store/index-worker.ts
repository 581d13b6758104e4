import { parentPort, workerData } from 'node:worker_threads'
import { asDbgateError, DbgateError } from '../errors.ts'
import { Indexer } from './indexer.ts'
import type { Answer, Asked, Question, Told, WorkerOptions } from './messages.ts'

/** How far the index may be behind the log while nobody asks. */
const CATCH_UP_MS = 2000

/** The worker that owns the index: one question after the other, and in between it follows the log. */
function run(options: WorkerOptions): void {
  const indexer = new Indexer(options.logDir, options.file)
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = (work: () => Promise<unknown>) => {
    turn = turn.then(work)
    return turn
  }
  const follow = () => {
    // Whoever asks next gets the error; on its own the worker only tries again.
    inTurn(() => indexer.catchUp().catch(() => undefined)).then(
      () => setTimeout(follow, CATCH_UP_MS).unref(),
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
