import type { LineageLiteral, Statement } from '../sql/index.ts'
import type { Planned } from './masking.ts'
import type { RecordedText } from './text.ts'

/** Stands in the audit log for a value of a masked column. */
export const WITHHELD = '•••'

type Part = { readonly statement: Statement; readonly planned: Planned }

/** Whether what is bound to a parameter is compared with a masked column or written to one. */
export function isWithheld(planned: Planned, parameter: number): boolean {
  return secretsOf(planned).some(({ at }) => 'parameter' in at && at.parameter === parameter)
}

/**
 * A text without the values that are compared with masked columns or written to them: who asks for an address by
 * typing it in has it in the text. Of an EXECUTE nobody knows which value is which, so that all are left out.
 */
export function withoutValues(recorded: RecordedText, parts: readonly Part[]): RecordedText {
  let { text } = recorded
  let from = 0
  let isChanged = false
  for (const { statement, planned } of parts) {
    const secrets = secretsOf(planned)
    if (secrets.length === 0) continue
    const shown = shownText(statement, secrets)
    if (shown === statement.text) continue
    isChanged = true
    const at = text.indexOf(statement.text, from)
    // It was cut out of this very text; should it not be there, nothing is shown rather than too much.
    if (at < 0) return { text: `${statement.kind} ${WITHHELD}`, base64: undefined }
    text = text.slice(0, at) + shown + text.slice(at + statement.text.length)
    from = at + shown.length
  }
  return isChanged ? { text, base64: undefined } : recorded
}

function secretsOf({ lineage, set }: Planned): readonly LineageLiteral[] {
  if (lineage === undefined || set === undefined || set.isEmpty) return []
  return lineage.literals.filter(({ origin }) => set.of(origin) !== undefined)
}

function shownText(statement: Statement, secrets: readonly LineageLiteral[]): string {
  const { text, kind, executes } = statement
  if (kind === 'EXECUTE') return `EXECUTE ${executes.join(', ')} (${WITHHELD})`
  const ranges = secrets
    .flatMap(({ at }) => ('offset' in at ? [at] : []))
    .toSorted((a, b) => a.offset - b.offset)
  if (ranges.length === 0) return text
  const bytes = Buffer.from(text)
  let shown = ''
  let end = 0
  for (const { offset, length } of ranges) {
    if (offset < end) continue
    shown += `${bytes.toString('utf8', end, offset)}'${WITHHELD}'`
    end = offset + length
  }
  return shown + bytes.toString('utf8', end)
}
