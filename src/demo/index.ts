/**
 * Everything a newcomer needs in one process tree: a PostgreSQL with a small shop in it, an OpenID
 * Connect provider with people, and the steps that show what dbgate does with them.
 *
 * Invariant: all of it listens on 127.0.0.1 only and leaves nothing behind, however it ends.
 */
export { type Binaries, findBinaries, npmBinaries, systemBinaries } from './binaries.ts'
export { browse, type Visit } from './browser.ts'
export { type IssuerOptions, type RunningIssuer, startIssuer } from './issuer.ts'
export { PEOPLE, type Person } from './people.ts'
export { freePort } from './ports.ts'
export { type PostgresOptions, type RunningPostgres, startPostgres } from './postgres.ts'
export { type DemoOptions, type DemoServer, runDemo } from './run.ts'
export { SHOP_ROLES, type ShopRole, shopSetup } from './shop.ts'
