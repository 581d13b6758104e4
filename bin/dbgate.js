#!/usr/bin/env node
// Starts dbgate: the build where there is one, else the sources, which Node runs as they are.
// This file alone must be understood by any Node, so that an old one can say what to do.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const ownNode = join(root, 'node_modules/node/bin/node')
if (Number(process.versions.node.split('.')[0]) >= 24) {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  module.enableCompileCache(join(cache, 'dbgate/node'))
  const built = join(root, 'dist/commands/main.js')
  const { main } = await import(existsSync(built) ? built : join(root, 'commands/main.ts'))
  await main(process.argv.slice(2))
} else if (existsSync(ownNode)) {
  const child = spawn(ownNode, process.argv.slice(1), { stdio: 'inherit' })
  // In a terminal ^C reaches the child by itself; every other signal is passed on, and its end is ours.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY) || child.kill(signal))
  }
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
} else {
  console.error(
    `dbgate needs Node 24 or newer and this is ${process.version}: nodejs.org, or npm ci in a clone`,
  )
  process.exitCode = 1
}
