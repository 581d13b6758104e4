import { hash } from 'node:crypto'
import { visible } from '../terminal.ts'
import { PAGE_SCRIPT, PAGE_STYLE } from './html-page.ts'
import { linesOf } from './lines.ts'
import { type Entry, resultsOf, type Story } from './story.ts'
import { clock, inertJson } from './text.ts'
import { cellTexts, isTold, summaryOf, type Telling, titleOf } from './transcript.ts'

/**
 * The session as one page that needs nothing else: it opens from a file, asks nothing of any network, and
 * runs no script but its own, which its Content-Security-Policy names by its hash. What was recorded stands
 * in it as JSON and gets onto the page as text only.
 */
export function* htmlOf(
  story: Story,
  telling: Telling,
  sha256: string | undefined,
): Generator<string> {
  const title = titleOf(story, telling.marks)
  const policy = [
    "default-src 'none'",
    `script-src '${sourceHash(PAGE_SCRIPT)}'`,
    `style-src '${sourceHash(PAGE_STYLE)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  const digest = sha256 === undefined ? 'still running: no digest yet' : `sha256 ${visible(sha256)}`
  yield `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escaped(policy)}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<p class="banner">Confidential: what was shown of ${escaped(visible(story.head.target))}, after masking · ${escaped(digest)}</p>
<h1>${escaped(title)}</h1>
<p class="about">${escaped(`began ${visible(story.head.at)} (times in UTC), ${summaryOf(story)}`)}</p>
<div class="player">
<button id="play" type="button">play</button>
<select id="speed" aria-label="speed"><option>0.5</option><option selected>1</option><option>2</option><option>4</option><option>8</option><option>16</option></select>
<input id="seek" type="range" min="0" max="1000" value="1000" aria-label="timeline">
<span id="clock"></span>
<input id="find" type="search" placeholder="find in SQL" aria-label="find in SQL">
<label><input id="marked" type="checkbox"> only marked</label>
</div>
<main><ol id="list"></ol><section id="detail" aria-live="polite"></section></main>
<noscript>This page shows the session with a script of its own; scripts are off.</noscript>
<script type="application/json" id="session">{"startedAt":${story.head.startedAt},"entries":[`
  let separator = ''
  for (const entry of story.entries) {
    if (!isTold(entry, telling)) continue
    yield `${separator}\n${embedded(entryOf(story, entry, telling))}`
    separator = ','
  }
  yield `]}</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`
}

/** What the page needs of an entry, already inert. */
function entryOf(story: Story, entry: Entry, telling: Telling): object {
  const until = Number.POSITIVE_INFINITY
  const at = entry.events.findLast(({ e }) => e === 'decided' || e === 'complete')?.t ?? entry.at
  const parameters = entry.events.flatMap(event =>
    event.e === 'statement' ? (event.parameters ?? []) : [],
  )
  return {
    id: visible(entry.id),
    at: entry.at,
    until: at,
    clock: clock(story.head.startedAt + entry.at, true),
    mark: entry.mark ?? '',
    sql: visible(entry.sql, { keepNewlines: true }),
    parameters: parameters.map(value => (value === null ? 'NULL' : inertJson(value))),
    lines: linesOf(entry, until, telling.marks).map(({ tone, text, aside }) => ({
      tone,
      text,
      aside,
    })),
    results: telling.hasResults
      ? resultsOf(entry, until).map(({ columns, rows }) => ({
          columns: columns.map(name => visible(name)),
          rows: rows.map(cellTexts),
        }))
      : [],
  }
}

/** JSON that nothing of HTML can end: within a script element only `<` could. */
function embedded(value: object): string {
  return inertJson(value).replaceAll('<', '\\u003c')
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}

function sourceHash(source: string): string {
  return `sha256-${hash('sha256', source, 'base64')}`
}
