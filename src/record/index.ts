/**
 * The audit log: who ran what, append-only and hash-chained, on file before the statement is forwarded.
 *
 * Its one invariant: a statement whose `commit` returned is on record, whatever happens to the process
 * afterwards; one whose `commit` threw was not forwarded. The log is written by one process at a time
 * (`AuditLog`), and read by anyone without a lock (`verifyLog`, `readRecords`).
 *
 * # The files, version 1
 *
 * A log is a directory of segments, `audit-000001.log`, `audit-000002.log` …: UTF-8 text, one line for each
 * record, mode 0600. A line is
 *
 *     <64 hexadecimal digits> <JSON>\n
 *
 * with no newline in the JSON. The digits are SHA-256(hash of the line before, 32 bytes ‖ the JSON's bytes),
 * through all lines of all segments; the very first line follows 32 zero bytes. So a log can be checked with
 * `sha256sum` and a loop.
 *
 * The first line of a segment says what follows:
 *
 *     {"type":"segment","v":1,"segment":2,"first":1042,"continues":"<hash of the line before>","t":"…"}
 *
 * Every other line is a record (`records.ts`) and starts with the same three keys, in this order:
 *
 *     {"n":1042,"t":"2026-03-02T11:20:07.123Z","type":"statement",…}
 *
 * `n` counts the records from 1 without a hole; `t` is the server's clock and may step back, so only `n`
 * orders. Text is any text: what UTF-8 cannot hold (a lone surrogate) is escaped as JSON does. A reader
 * passes over types and keys it does not know, and refuses a `v` it does not know.
 *
 * What comes after the last newline is a line being written. A process killed there leaves it behind; the
 * next one cuts it off and says so in a `repaired` record. Whole lines are never taken back.
 *
 * The chain shows that a record was changed, removed, inserted or moved. It cannot show that the end of
 * the log was cut off, nor that somebody wrote all of it anew: for that, checkpoints are kept elsewhere
 * (`checkpoint.ts`).
 */
export type { Break, Place } from './chain.ts'
export type { Checkpoint, CheckpointKey } from './checkpoint.ts'
export { fingerprintOf, loadCheckpointKey, readCheckpoints, readPublicKey } from './checkpoint.ts'
export { Checkpoints } from './checkpoints.ts'
export { recordedParameter } from './encode.ts'
export type { AuditLogOptions, LogFailure } from './log.ts'
export { AuditLog } from './log.ts'
export type { LogEntry, Position, ReadOptions } from './reader.ts'
export { bytesAfter, readRecords } from './reader.ts'
export type {
  ColumnsEvent,
  CompleteEvent,
  CopyEvent,
  CutEvent,
  DecidedEvent,
  EndEvent,
  ErrorEvent,
  HeldEvent,
  NoticeEvent,
  NotificationEvent,
  ParameterMode,
  RecordedCell,
  RecordedColumn,
  RecordedHappening,
  RecordedMessage,
  RecordingEvent,
  RowsEvent,
  SettingEvent,
  StartEvent,
  StatementEvent,
  TransactionEvent,
} from './recording.ts'
export { RECORDING_VERSION } from './recording.ts'
export { packMember } from './recording-members.ts'
export type { FoundRecording, RecordingReadOptions } from './recording-reader.ts'
export {
  findRecording,
  readRecording,
  recordedSession,
  recordingDays,
  recordingName,
} from './recording-reader.ts'
export { recoverRecording } from './recording-recovery.ts'
export { Retention } from './recording-retention.ts'
export type { Recording, RecordingsOptions } from './recordings.ts'
export { Recordings } from './recordings.ts'
export type {
  AuditRecord,
  CompletedRecord,
  Completion,
  DeniedRecord,
  GapRecord,
  NoteRecord,
  Outcome,
  RecordedAnalysis,
  RecordedParameter,
  RecordedPrincipal,
  RecordedRelation,
  RecordingNote,
  RecordingSeal,
  RepairedRecord,
  RequestNote,
  SessionEnd,
  SessionFacts,
  SessionLabel,
  SessionStart,
  StatementFacts,
  StatementId,
  StatementRecord,
  Stored,
} from './records.ts'
export type { SessionListener, SessionLog } from './session-log.ts'
export type { Verification, VerifyOptions } from './verify.ts'
export { verifyLog } from './verify.ts'
export type { ChainHead } from './writer.ts'
