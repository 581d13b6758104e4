/**
 * What an operator asks of the databases themselves, beside the server: with the logins of dbgate.yaml, which
 * therefore has to be readable.
 */
export {
  FULL,
  type Hardening,
  type HardenOptions,
  harden,
  hardenOn,
  inTransaction,
  PLAIN,
  readableByPlain,
} from './harden.ts'
export { openMaskMemory, openSchemas, type Reach, type Schemas, targetOf } from './schemas.ts'
export { type Visit, visit } from './visit.ts'
