/*
 * What the exported page brings of its own. Neither holds anything of a session, so that their hashes can stand in
 * the page's Content-Security-Policy.
 */

export const PAGE_STYLE = `
:root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 110rem; padding: 0 1rem 2rem; }
.banner { background: #b00020; color: #fff; padding: .4rem .8rem; margin: 0 -1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.2rem; margin: .8rem 0 0; overflow-wrap: anywhere; }
.about { margin: 0 0 .8rem; opacity: .8; }
.player { position: sticky; top: 0; display: flex; gap: .6rem; align-items: center; flex-wrap: wrap;
  background: Canvas; padding: .4rem 0; border-bottom: 1px solid GrayText; }
#seek { flex: 1 1 12rem; }
main { display: grid; grid-template-columns: minmax(18rem, 2fr) 3fr; gap: 1rem; }
@media (max-width: 60rem) { main { display: block; } }
#list { list-style: none; margin: .6rem 0; padding: 0; }
#list button { display: block; width: 100%; text-align: left; font: 13px/1.4 ui-monospace, monospace;
  background: none; border: 0; border-left: 3px solid transparent; padding: .15rem .4rem; color: inherit;
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis; cursor: pointer; }
#list button[aria-current="true"] { border-left-color: currentColor; background: rgba(127, 127, 127, .18); }
.bad { color: #c62828; } .waiting { color: #a06800; } .faint { opacity: .7; }
@media (prefers-color-scheme: dark) { .bad { color: #ff8a80; } .waiting { color: #ffd180; } }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, monospace;
  background: rgba(127, 127, 127, .12); padding: .6rem; }
table { border-collapse: collapse; font: 12px/1.4 ui-monospace, monospace; display: block; overflow-x: auto; }
th, td { border: 1px solid GrayText; padding: .1rem .4rem; text-align: left; }
`

export const PAGE_SCRIPT = `
'use strict'
const story = JSON.parse(document.getElementById('session').textContent)
const byId = id => document.getElementById(id)
const [list, detail, seek, play, speed, find, marked, clock] =
  ['list', 'detail', 'seek', 'play', 'speed', 'find', 'marked', 'clock'].map(byId)
const IDLE_MS = 2000
const element = (name, text, className) => {
  const made = document.createElement(name)
  if (text !== undefined) made.textContent = text
  if (className) made.className = className
  return made
}
// Pauses are shortened: positions on the timeline are times of the player, not of the session.
let length = 0
let before = 0
for (const entry of story.entries) {
  length += Math.min(entry.at - before, IDLE_MS)
  before = entry.at
  entry.position = length
}
length = Math.max(length, 1)
let position = length
let current
let timer
const shown = () => {
  const words = find.value.toLowerCase()
  return story.entries.filter(entry =>
    entry.position <= position &&
    (!marked.checked || entry.mark) &&
    (!words || entry.sql.toLowerCase().includes(words)))
}
const draw = () => {
  const entries = shown()
  list.replaceChildren(...entries.map(entry => {
    const first = entry.lines[0] || { text: '', tone: 'plain' }
    const aside = first.aside ? '  ' + first.aside : ''
    const mark = entry.mark ? '[' + entry.mark + '] ' : ''
    const button = element('button', entry.clock + '  ' + mark + first.text.slice(0, 300) + aside, first.tone)
    button.type = 'button'
    button.setAttribute('aria-current', String(entry === current))
    button.addEventListener('click', () => show(entry))
    const item = element('li')
    item.append(button)
    return item
  }))
  const last = entries[entries.length - 1]
  clock.textContent = last ? last.clock : ''
  seek.value = String(Math.round((position / length) * 1000))
}
const show = entry => {
  current = entry
  const parts = [element('h2', (entry.clock + '  ' + entry.id).trim())]
  if (entry.sql) parts.push(element('pre', entry.sql))
  entry.parameters.forEach((value, index) => parts.push(element('p', '$' + (index + 1) + ' = ' + value)))
  for (const line of entry.lines.slice(entry.sql ? 1 : 0)) parts.push(element('p', line.text, line.tone))
  if (entry.sql && entry.lines[0] && entry.lines[0].aside) parts.push(element('p', entry.lines[0].aside, 'faint'))
  for (const result of entry.results) {
    const table = element('table')
    const row = (cells, name) => {
      const line = element('tr')
      line.append(...cells.map(cell => element(name, cell)))
      table.append(line)
    }
    row(result.columns, 'th')
    for (const cells of result.rows) row(cells, 'td')
    parts.push(table)
  }
  detail.replaceChildren(...parts)
  draw()
}
const stop = () => {
  clearInterval(timer)
  timer = undefined
  play.textContent = 'play'
}
play.addEventListener('click', () => {
  if (timer !== undefined) return stop()
  if (position >= length) position = 0
  play.textContent = 'pause'
  timer = setInterval(() => {
    position = Math.min(length, position + 100 * Number(speed.value))
    const entries = shown()
    const last = entries[entries.length - 1]
    if (last && last !== current) show(last)
    else draw()
    if (position >= length) stop()
  }, 100)
})
seek.addEventListener('input', () => {
  position = (Number(seek.value) / 1000) * length
  draw()
})
find.addEventListener('input', draw)
marked.addEventListener('change', draw)
draw()
`
