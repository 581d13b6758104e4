/** Opens a page with whatever the platform opens pages with. */

import { spawn } from 'node:child_process'

/** How long an opener may run before we take it that it works: some stay as long as the browser does. */
const SETTLED_MS = 1500

/**
 * Opens a web page. False means nobody will see it: print the link in any case, since an opener may also succeed on
 * a machine without a screen.
 */
export function openInBrowser(
  url: string,
  o: {
    readonly platform: NodeJS.Platform
    readonly env: Readonly<Record<string, string | undefined>>
  },
): Promise<boolean> {
  const target = URL.parse(url)
  // The link comes from a server; a file: or a custom scheme would start other things than a browser.
  if (target === null || !['https:', 'http:'].includes(target.protocol)) {
    return Promise.resolve(false)
  }
  const [program, args] = openerOf(target.href, o)
  return new Promise(resolve => {
    const child = spawn(program, args, {
      detached: true,
      stdio: 'ignore',
      env: { ...o.env },
      windowsHide: true,
    })
    const timer = setTimeout(() => resolve(true), SETTLED_MS)
    timer.unref()
    child.unref()
    child.once('error', () => {
      clearTimeout(timer)
      resolve(false)
    })
    child.once('exit', code => {
      clearTimeout(timer)
      resolve(code === 0)
    })
  })
}

function openerOf(
  url: string,
  o: {
    readonly platform: NodeJS.Platform
    readonly env: Readonly<Record<string, string | undefined>>
  },
): [program: string, args: string[]] {
  if (o.platform === 'darwin') return ['open', [url]]
  if (o.platform === 'win32') return ['rundll32.exe', ['url.dll,FileProtocolHandler', url]]
  if (o.env.WSL_DISTRO_NAME !== undefined) return ['wslview', [url]]
  return ['xdg-open', [url]]
}
