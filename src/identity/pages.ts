/** The pages the browser ends on. Self-contained: no script, no font, no picture, nothing from elsewhere. */

import { createHash } from 'node:crypto'

const STYLE = `
:root { color-scheme: light dark; --ink: #1a2230; --soft: #5b6677; --paper: #f4f6f9; --card: #fff;
  --line: #dde3ea; --good: #0f7b4d; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf2; --soft: #9aa6b6; --paper: #10141a;
  --card: #181e27; --line: #2a3340; --good: #4ccb8d; --bad: #ff8a80 } }
* { box-sizing: border-box; margin: 0 }
body { min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { width: min(27rem, 100%); padding: 2.5rem 2.25rem 2rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 1rem; box-shadow: 0 1rem 3rem rgb(10 20 40 / .08) }
svg { display: block; width: 3rem; height: 3rem; margin-bottom: 1.25rem }
.good { color: var(--good) } .bad { color: var(--bad) }
h1 { font-size: 1.45rem; line-height: 1.25; font-weight: 650; letter-spacing: -.01em;
  margin-bottom: .5rem; overflow-wrap: anywhere }
p { color: var(--soft); overflow-wrap: anywhere } p + p { margin-top: .75rem }
code { padding: .1em .4em; border-radius: .35em; background: var(--paper); border: 1px solid var(--line);
  color: var(--ink); font: .92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
footer { margin-top: 1.75rem; padding-top: 1rem; border-top: 1px solid var(--line);
  color: var(--soft); font-size: .85rem }
`

const styleHash = createHash('sha256').update(STYLE).digest('base64')

/** Headers for every page: nothing is loaded, framed, kept or passed on, the code in the address above all. */
export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const

const TICK = icon('good', '<path d="M15.5 24.5l6 6 11.5-13"/>')
const CROSS = icon('bad', '<path d="M17.5 17.5l13 13m0-13l-13 13"/>')

/** For somebody who is signed in. */
export function donePage(name: string | undefined): string {
  const who = name === undefined ? 'You are signed in' : `You are signed in, ${asText(name)}`
  return page(
    'Signed in',
    `${TICK}<h1>${who}</h1><p>You can close this tab and go back to the terminal.</p>`,
  )
}

/** For somebody who is not. What the provider said is shown as text. */
export function errorPage(message: string, detail?: string): string {
  const sentence = message.charAt(0).toUpperCase() + message.slice(1)
  const more = detail === undefined ? '' : `<p>${asText(detail)}</p>`
  const again = '<p>Nothing was signed in. To try again: <code>dbgate login</code></p>'
  return page('Not signed in', `${CROSS}<h1>${asText(sentence)}</h1>${more}${again}`)
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title} · dbgate</title>
<style>${STYLE}</style>
</head>
<body><main>${body}<footer>dbgate · this page came from your own machine</footer></main></body>
</html>
`
}

function icon(kind: 'good' | 'bad', inner: string): string {
  return `<svg class="${kind}" viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><circle cx="24" cy="24" r="21" opacity=".28"/>${inner}</svg>`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text as text. Characters that reorder or hide text are dropped: a name is not a place for them. */
function asText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, ' ').replace(/[&<>"']/g, char => ENTITIES[char] ?? char)
}
