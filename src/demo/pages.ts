/** The demo identity provider's pages: self-contained, light and dark, usable without a script. */
import type { Person } from './people.ts'

const STYLE = `
  :root { color-scheme: light dark; --bg:#f6f7f9; --card:#fff; --ink:#15181d; --soft:#5b6472;
          --line:#e2e5ea; --accent:#2f6fed; --hover:#f1f5ff }
  @media (prefers-color-scheme: dark) {
    :root { --bg:#0e1116; --card:#171b22; --ink:#e8ebf0; --soft:#98a2b3; --line:#2a303a;
            --accent:#7aa2ff; --hover:#1d2430 } }
  * { box-sizing: border-box }
  body { margin:0; min-height:100vh; display:grid; place-items:center; padding:24px;
         background:var(--bg); color:var(--ink); font:16px/1.5 system-ui, sans-serif }
  main { width:100%; max-width:440px; background:var(--card); border:1px solid var(--line);
         border-radius:16px; padding:32px; box-shadow:0 8px 30px rgb(0 0 0 / .06) }
  .mark { display:flex; align-items:center; gap:10px; font-weight:650; letter-spacing:-.01em }
  .mark i { width:26px; height:26px; border-radius:8px; background:var(--accent); position:relative }
  .mark i::after { content:""; position:absolute; inset:7px 11px; background:var(--card);
                   border-radius:2px }
  h1 { font-size:1.35rem; line-height:1.25; margin:24px 0 4px; letter-spacing:-.02em }
  p { margin:0 0 20px; color:var(--soft) }
  button { font:inherit; color:inherit; cursor:pointer }
  .person { display:flex; gap:14px; align-items:center; width:100%; text-align:left; padding:14px;
            margin-top:10px; background:none; border:1px solid var(--line); border-radius:12px }
  .person:hover, .person:focus-visible { background:var(--hover); border-color:var(--accent);
            outline:none }
  .face { flex:none; width:42px; height:42px; border-radius:50%; display:grid; place-items:center;
          font-weight:650; color:#fff; background:hsl(var(--hue) 55% 45%) }
  .person b { display:block; font-weight:600 }
  .person small { display:block; color:var(--soft); font-size:.85rem; line-height:1.35 }
  .code { font:600 1.5rem/1 ui-monospace, monospace; letter-spacing:.12em; text-align:center;
          padding:16px; border:1px dashed var(--line); border-radius:12px; margin-bottom:20px }
  input[type=text] { width:100%; font:600 1.25rem ui-monospace, monospace; letter-spacing:.12em;
          text-align:center; text-transform:uppercase; padding:12px; border-radius:12px;
          border:1px solid var(--line); background:var(--bg); color:var(--ink) }
  .go { width:100%; padding:12px; margin-top:12px; border-radius:12px; border:0; font-weight:600;
        background:var(--accent); color:var(--card) }
  .plain { width:100%; padding:10px; margin-top:6px; border:0; background:none; color:var(--soft) }
  footer { margin-top:24px; font-size:.8rem; color:var(--soft) }`

/** Any text made inert for HTML, attribute values included. */
export function html(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${html(title)}</title>
<style>${STYLE}</style>
<main>
<div class="mark"><i></i>Acme sign-in</div>
${body}
<footer>A pretend identity provider: part of <b>dbgate demo</b>, on this machine only.</footer>
</main>
</html>
`
}

/** The page where one click signs in as somebody. */
export function pickerPage(people: readonly Person[], client: string): string {
  const buttons = people.map((person, index) => {
    const initials = person.name.replace(/[^A-Z]/g, '')
    const hue = (215 + index * 110) % 360
    return `<button class="person" name="person" value="${html(person.id)}">
<span class="face" style="--hue:${hue}" aria-hidden="true">${html(initials)}</span>
<span><b>${html(person.name)}</b><small>${html(person.email)}</small>
<small>${html(person.about)}</small></span></button>`
  })
  return page(
    'Who are you today?',
    `<h1>Who are you today?</h1>
<p>${html(client)} asks who you are. Pick one; there is no password.</p>
<form method="post">${buttons.join('\n')}</form>`,
  )
}

/** Where a person types the code their terminal shows. `form` is the provider's own. */
export function deviceCodePage(form: string, problem: string | undefined): string {
  return page(
    'Sign in on another device',
    `<h1>Sign in on another device</h1>
<p>${html(problem ?? 'Enter the code your terminal shows.')}</p>
${form}
<button class="go" type="submit" form="op.deviceInputForm">Continue</button>`,
  )
}

/** Asks whether the code is the one on the person's own screen. */
export function deviceConfirmPage(form: string, userCode: string): string {
  return page(
    'Did you start this?',
    `<h1>Did you start this?</h1>
<p>Go on only if your own terminal shows this very code. A code somebody sent you signs
<em>them</em> in as you.</p>
<div class="code">${html(userCode)}</div>
${form}
<button class="go" type="submit" form="op.deviceConfirmForm">Yes, continue</button>
<button class="plain" type="submit" form="op.deviceConfirmForm" name="abort" value="yes">No, stop
</button>`,
  )
}

/** A page that only says something. */
export function messagePage(title: string, text: string): string {
  return page(title, `<h1>${html(title)}</h1>\n<p>${html(text)}</p>`)
}
