/** Words that AI agents' labels are made of: `claude-code/2.1`, `Cursor`, `codex_cli`. */
const KNOWN = new Set(
  `agent aider amp amazonq augment claude cline codex continue copilot crush cursor devin gemini goose
  jules junie kilocode kiro mcp openai opencode openhands qwen replit roo trae warp windsurf zed`
    .trim()
    .split(/\s+/),
)

/**
 * Whether a tool's own label is that of an AI agent. Generous on purpose: being taken for an agent only ever
 * makes things stricter.
 */
export function isKnownAgent(label: string): boolean {
  return label
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .some(word => KNOWN.has(word))
}
