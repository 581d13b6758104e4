/**
 * The control API: HTTPS routes on the server's one port, and the typed client that the command line and
 * the tunnel use.
 *
 * Invariant: no token leaves the client before the server's certificate was found right.
 */

export { Answering, type AnsweringOptions } from './answering.ts'
export {
  type AuditEntry,
  type AuditPage,
  type Discovery,
  type GrantedTarget,
  type LoginOffer,
  readVerification,
  type TargetAnswer,
  type VerificationAnswer,
  type Whoami,
} from './answers.ts'
export { fingerprintOf } from './certificate.ts'
export { ownCertificate, readCertificate, type TlsMaterial } from './certificate-file.ts'
export {
  type ApiClient,
  type ApiClientOptions,
  type AuditQuery,
  checkAnswer,
  createApiClient,
  readJson,
} from './client.ts'
export type { Schema } from './mask-desk.ts'
export { type DeskTools, type LocalPolicy, openLocalPolicy, supposed } from './policy-desk.ts'
export { type RejudgeTools, rejudgeBy } from './rejudging.ts'
export {
  type AccessMade,
  type DecisionAnswer,
  type ExplanationAnswer,
  type RequestAnswer,
  type RequestableAnswer,
  readExplanation,
  type StatementAnswer,
} from './request-answers.ts'
export { type ApiCall, type ApprovalsApi, Requests, type RequestsOptions } from './requests.ts'
export type { AccessWish, ExplainQuery, RequestsQuery } from './requests-client.ts'
export {
  type ApiBackend,
  type ApiRoute,
  type ApiServerOptions,
  createApiServer,
  type TunnelVisit,
} from './server.ts'
export { AnswerStream } from './session-stream.ts'
export { isSessionsPath, Sessions, type SessionsOptions, type SessionView } from './sessions.ts'
export type { SessionAnswer, SessionDetail, SessionsQuery } from './sessions-client.ts'
export {
  connectTls,
  fingerprint,
  isUntrusted,
  parsePin,
  parseServerUrl,
  peekFingerprint,
  type ServerAddress,
  serverName,
  type TlsSessions,
} from './transport.ts'
