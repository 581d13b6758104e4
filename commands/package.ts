import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** The folder with package.json: sources stand in commands/ below it, the build in dist/commands/. */
export function packageRoot(): string {
  const above = dirname(import.meta.dirname)
  return basename(above) === 'dist' ? dirname(above) : above
}

/** What package.json says. */
export function packageJson(): { readonly name: string; readonly version: string } {
  return JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'))
}

/** This program's version. */
export function version(): string {
  return packageJson().version
}
