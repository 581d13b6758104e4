import { basename } from 'node:path'

/**
 * Which tool works here, as far as its environment gives it away. It informs the record and may only
 * narrow rights, so a wrong guess costs nothing and a lie gains nothing.
 *
 * Shape: a variable that the tool sets for what it starts, and the label.
 */
const MARKS: readonly (readonly [variable: string, label: string])[] = [
  ['CLAUDECODE', 'claude'],
  ['CURSOR_AGENT', 'cursor'],
  ['CURSOR_TRACE_ID', 'cursor'],
  ['CODEX_SANDBOX', 'codex'],
  ['GEMINI_CLI', 'gemini'],
  ['OPENCODE', 'opencode'],
  ['AIDER_MODEL', 'aider'],
  ['GITHUB_ACTIONS', 'github-actions'],
  ['GITLAB_CI', 'gitlab-ci'],
]

const MAX_LABEL = 64

/** The label to report: the command that is started, else what the environment says, else nothing. */
export function detectAgent(
  command: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const marked = MARKS.find(([variable]) => env[variable] !== undefined && env[variable] !== '')
  // An agent that starts psql is still the one at work.
  if (marked !== undefined) return marked[1]
  if (command === undefined) return undefined
  return basename(command)
    .replace(/\.(exe|cmd)$/i, '')
    .slice(0, MAX_LABEL)
}
