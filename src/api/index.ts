/**
 * The control API: HTTPS routes on the server's one port, and the typed client that the command line and
 * the tunnel use.
 *
 * Invariant: no token leaves the client before the server's certificate was found right.
 */
export type {
  AuditEntry,
  Discovery,
  GrantedTarget,
  LoginOffer,
  TargetAnswer,
  Whoami,
} from './answers.ts'
export { createCertificate, fingerprintOf, type OwnCertificate } from './certificate.ts'
export {
  type ApiClient,
  type ApiClientOptions,
  type AuditQuery,
  checkAnswer,
  createApiClient,
  readJson,
} from './client.ts'
export {
  type ApiBackend,
  type ApiRoute,
  type ApiServerOptions,
  createApiServer,
  type TunnelVisit,
} from './server.ts'
export {
  connectTls,
  fingerprint,
  isUntrusted,
  parsePin,
  parseServerUrl,
  type ServerAddress,
  serverName,
  type TlsSessions,
} from './transport.ts'
