import { isUtf8 } from 'node:buffer'
import type { Recording, StatementId } from '../record/index.ts'
import type { Frame } from '../wire/index.ts'
import type { Sent } from './recorded-message.ts'

const HEADER_BYTES = 5
const BATCH_BYTES = 32 * 1024

/** COPY data of a session, up to the configured bytes for each statement. */
export class RecordedCopy {
  readonly #recording: Recording
  #id: StatementId | undefined
  #direction: 'in' | 'out' = 'out'
  #isBinary = false
  #pieces: Buffer[] = []
  #pieceBytes = 0
  #bytesLeft = 0
  #rowsLeft = 0
  #isCut = false

  constructor(recording: Recording) {
    this.#recording = recording
  }

  /** CopyOutResponse or CopyInResponse: data follows. */
  begin(id: StatementId | undefined, { buf, start }: Frame): void {
    this.flush()
    this.#id = id
    this.#isBinary = buf[start + HEADER_BYTES] === 1
    this.#isCut = false
    this.#bytesLeft = this.#recording.results.bytes
    this.#rowsLeft = this.#recording.results.rows
  }

  /** CopyData or a piece of it. The server sends one for each row; clients cut as they like. */
  add(direction: 'in' | 'out', id: StatementId | undefined, sent: Sent): void {
    if (this.#isCut) return
    const isBuffer = Buffer.isBuffer(sent)
    const { buf, start, end } = isBuffer ? { buf: sent, start: 0, end: sent.length } : sent
    const isHead = isBuffer || sent.part === 'whole' || sent.part === 'head'
    const from = isHead ? start + HEADER_BYTES : start
    const isRow = isHead && direction === 'out'
    const isOverRows = this.#recording.results.rows === 0 || (isRow && this.#rowsLeft === 0)
    if (isOverRows || end - from > this.#bytesLeft) {
      this.#cut(id, isOverRows ? 'rows' : 'bytes')
      return
    }
    if (isRow) this.#rowsLeft -= 1
    this.#bytesLeft -= end - from
    this.#direction = direction
    this.#pieces.push(Buffer.from(buf.subarray(from, end)))
    this.#pieceBytes += end - from
    if (this.#pieceBytes > BATCH_BYTES) this.#hand(false)
  }

  /** Data that passes is not recorded, since a mask may cover it. */
  leaveOut(id: StatementId | undefined): void {
    if (!this.#isCut) this.#cut(id, 'private')
  }

  /** The statement is over. */
  finish(id: StatementId): void {
    if (id === this.#id) this.#hand(true)
  }

  /** Hands on what has been collected, but for the beginning of a character. */
  flush(): void {
    this.#hand(false)
  }

  #cut(id: StatementId | undefined, why: 'rows' | 'bytes' | 'private'): void {
    this.#hand(true)
    this.#isCut = true
    const body = JSON.stringify({ e: 'cut', id: id ?? this.#id, what: 'results', why })
    this.#recording.add(body.slice(1), false)
  }

  #hand(isLast: boolean): void {
    if (this.#pieceBytes === 0) return
    const bytes = Buffer.concat(this.#pieces)
    const end = isLast || this.#isBinary ? bytes.length : wholeCharacters(bytes)
    const rest = bytes.subarray(end)
    this.#pieces = rest.length === 0 ? [] : [rest]
    this.#pieceBytes = rest.length
    if (end === 0) return
    const head = bytes.subarray(0, end)
    const isText = !this.#isBinary && isUtf8(head)
    const data = isText ? head.toString('utf8') : { base64: head.toString('base64') }
    const event = { e: 'copy', id: this.#id, direction: this.#direction, data }
    this.#recording.add(JSON.stringify(event).slice(1), true)
  }
}

/** Where the last character of UTF-8 ends that is all there. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0
    if (byte < 0x80) return bytes.length
    if (byte < 0xc0) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
    return back < length ? bytes.length - back : bytes.length
  }
  return bytes.length
}
