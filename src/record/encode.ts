import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import { DbgateError } from '../errors.ts'
import { MAX_RECORD_CHARS } from './format.ts'
import type {
  CompletedRecord,
  Completion,
  RecordedAnalysis,
  RecordedParameter,
  SessionFacts,
  StatementFacts,
  StatementId,
} from './records.ts'

/** Values longer than this are on record by length and digest only. */
const MAX_PARAMETER_BYTES = 64 * 1024

/**
 * A bound value as it is put on record.
 *
 * Shape: null for SQL NULL; text where it is valid UTF-8 in text format; base64 otherwise; beyond 64 KiB
 * the length and SHA-256.
 */
export function recordedParameter(
  value: Buffer | null,
  format: 'text' | 'binary',
): RecordedParameter {
  if (value === null) return null
  if (value.length > MAX_PARAMETER_BYTES) {
    return { bytes: value.length, sha256: hash('sha256', value, 'hex') }
  }
  if (format === 'text' && isUtf8(value)) return value.toString('utf8', 0, value.length)
  return { base64: value.toString('base64', 0, value.length) }
}

/** What repeats on each statement of a session, already JSON, to be followed by `"id":…`. */
export function encodeLabel(facts: SessionFacts): string {
  const { id: session, agent, target, role } = facts
  const label = { session, user: facts.principal.user, agent, target, role }
  return `${JSON.stringify(label).slice(1, -1)},`
}

/** Makes the text of statement records; one for each log, because it remembers what it encoded. */
export class StatementEncoder {
  /** By the array's identity: a repeated statement's analysis comes out of the analyser's memo as it was. */
  readonly #analyses = new WeakMap<readonly RecordedAnalysis[], string>()

  /**
   * Returns a statement's or denial's text after its session's label.
   *
   * Throws: LIMIT (54000) text and parameters are longer than one record may be.
   */
  encode(id: StatementId, facts: StatementFacts): string {
    checkLength(facts)
    const { text, textBase64, parameters } = facts
    let json = `"id":"${id}","protocol":"${facts.protocol}","text":${JSON.stringify(text)}`
    if (textBase64 !== undefined) json += `,"textBase64":${JSON.stringify(textBase64)}`
    if (parameters !== undefined && parameters.length > 0) {
      json += `,"parameters":${JSON.stringify(parameters)}`
    }
    json += `,"statements":${this.#encodeAnalysis(facts.statements)},"verdict":"${facts.verdict}"`
    if (facts.request !== undefined) json += `,"request":${JSON.stringify(facts.request)}`
    if (facts.observed !== undefined) {
      const { outcome, rule } = facts.observed
      json += `,"observed":${JSON.stringify({ outcome, rule })}`
    }
    return `${json},"rule":${JSON.stringify(facts.rule)}}`
  }

  #encodeAnalysis(statements: readonly RecordedAnalysis[]): string {
    const known = this.#analyses.get(statements)
    if (known !== undefined) return known
    const json = JSON.stringify(
      statements.map(({ kind, class: effect, relations }) => ({
        kind,
        class: effect,
        relations: relations.map(({ schema, name, access }) => ({ schema, name, access })),
      })),
    )
    this.#analyses.set(statements, json)
    return json
  }
}

function checkLength({ text, textBase64, parameters }: StatementFacts): void {
  let chars = text.length + (textBase64?.length ?? 0)
  for (const value of parameters ?? []) chars += parameterChars(value)
  if (chars <= MAX_RECORD_CHARS) return
  throw new DbgateError('LIMIT', 'statement is too long to be recorded', {
    detail: `Text and parameters together may have ${MAX_RECORD_CHARS} characters.`,
  })
}

function parameterChars(value: RecordedParameter): number {
  if (typeof value === 'string') return value.length
  return value !== null && 'base64' in value ? value.base64.length : 100
}

/** A completion's text after its time. */
export function encodeCompletion(id: string, completion: Completion): string {
  const { outcome, rows, bytes, durationUs, sqlstate, tag, masked = [] } = completion
  const type: CompletedRecord['type'] = 'completed'
  let json = `"type":"${type}","id":"${id}","outcome":"${outcome}"`
  json += `,"rows":${whole(rows)},"bytes":${whole(bytes)},"durationUs":${whole(durationUs)}`
  if (sqlstate !== undefined) json += `,"sqlstate":${JSON.stringify(sqlstate)}`
  if (tag !== undefined) json += `,"tag":${JSON.stringify(tag)}`
  if (masked.length > 0) json += `,"masked":${JSON.stringify(masked)}`
  return `${json}}`
}

/** A number as JSON; NaN or an infinity must not make the line unreadable. */
function whole(value: number): number | null {
  return Number.isFinite(value) ? Math.round(value) : null
}
