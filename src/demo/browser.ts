/** A browser without a screen: follows redirects, keeps cookies, picks a person and submits forms. */

export type Visit = { readonly url: string; readonly status: number; readonly text: string }

const MAX_STEPS = 20

/**
 * Opens an address and signs in as `person` (their id on the sign-in page) wherever it is asked to,
 * until a page comes that has no form: for a login, the "you can close this tab" page of the CLI.
 *
 * `typed` fills text fields by name (the device flow's `user_code`).
 */
export async function browse(
  address: string,
  person: string,
  typed: Readonly<Record<string, string>> = {},
): Promise<Visit> {
  const cookies = new Map<string, string>()
  let url = address
  let form: URLSearchParams | undefined
  for (let step = 0; step < MAX_STEPS; step++) {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
      },
      ...(form === undefined ? {} : { method: 'POST', body: form }),
    })
    for (const line of response.headers.getSetCookie()) keep(cookies, line)
    const location = response.headers.get('location')
    const text = await response.text()
    if (location !== null && response.status >= 300 && response.status < 400) {
      url = new URL(location, url).href
      form = undefined
      continue
    }
    const next = response.ok ? formOf(text, url, person, typed) : undefined
    if (next === undefined) return { url, status: response.status, text }
    url = next.url
    form = next.fields
  }
  throw new Error(`more than ${MAX_STEPS} steps, last at ${new URL(url).origin}`)
}

function keep(cookies: Map<string, string>, line: string): void {
  const [pair = ''] = line.split(';', 1)
  const equals = pair.indexOf('=')
  const name = pair.slice(0, equals)
  const value = pair.slice(equals + 1)
  if (value === '') cookies.delete(name)
  else cookies.set(name, value)
}

function formOf(
  text: string,
  url: string,
  person: string,
  typed: Readonly<Record<string, string>>,
): { url: string; fields: URLSearchParams } | undefined {
  const opening = /<form\b[^>]*>/i.exec(text)?.[0]
  if (opening === undefined) return undefined
  const fields = new URLSearchParams()
  for (const [tag] of text.matchAll(/<input\b[^>]*>/gi)) {
    const name = attribute(tag, 'name')
    if (name !== undefined) fields.set(name, typed[name] ?? attribute(tag, 'value') ?? '')
  }
  if (text.includes('name="person"')) fields.set('person', person)
  return { url: new URL(attribute(opening, 'action') ?? url, url).href, fields }
}

function attribute(tag: string, name: string): string | undefined {
  return new RegExp(`\\b${name}="([^"]*)"`, 'i').exec(tag)?.[1]
}
