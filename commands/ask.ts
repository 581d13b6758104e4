import { createInterface } from 'node:readline/promises'
import type { Io } from './io.ts'

/** Asks one line on stderr and returns the answer without outer spaces. Aborted by ^C as any read is. */
export async function ask(io: Io, question: string): Promise<string> {
  const lines = createInterface({ input: io.stdin, output: io.stderr })
  try {
    return (await lines.question(`${question} `)).trim()
  } finally {
    lines.close()
  }
}
