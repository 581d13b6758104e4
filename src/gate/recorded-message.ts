import type { RecordedMessage } from '../record/index.ts'
import { decodeErrorFields, type Frame } from '../wire/index.ts'

/** A message as it goes down to the person: the server's, or one of our own in its place. */
export type Sent = Frame | Buffer

const OURS = 'dbgate'

/** What an ErrorResponse or NoticeResponse says, spelled out. */
export function messageOf(frame: Frame): RecordedMessage {
  const fields = decodeErrorFields(frame)
  const optional = (key: string, code: string) => {
    const value = fields.get(code)
    return value === undefined ? {} : { [key]: value }
  }
  const position = Number(fields.get('P') ?? Number.NaN)
  const routine = fields.get('R') ?? ''
  const isOurs = routine === OURS || routine.startsWith(`${OURS}:`)
  return {
    severity: fields.get('V') ?? fields.get('S') ?? 'ERROR',
    sqlstate: fields.get('C') ?? '',
    message: fields.get('M') ?? '',
    ...optional('detail', 'D'),
    ...optional('hint', 'H'),
    ...(Number.isInteger(position) ? { position } : {}),
    ...optional('where', 'W'),
    ...optional('schema', 's'),
    ...optional('table', 't'),
    ...optional('column', 'c'),
    ...optional('constraint', 'n'),
    ...(isOurs ? { gate: routine.slice(OURS.length + 1) } : {}),
  }
}
