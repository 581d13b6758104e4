/**
 * The two configuration files: `dbgate.yaml` (hosts, issuers, where secrets are) and the policy files (who may do
 * what). YAML 1.2 without its traps: unknown and repeated keys are errors, durations have units, and every problem
 * of every file is found in one run and shown where it stands.
 *
 * Invariant: a configuration is taken whole or not at all, and no secret stands in it, in its problems, or in what
 * resolving a credential says when it fails.
 *
 * Source: the zod schemas in server-schema.ts and policy-schema.ts; schema/*.json are made from them.
 */

export {
  type Credential,
  forgetCredential,
  resolveCredential,
  resolveSecret,
} from './credentials.ts'
export { type Loaded, type LoadedPolicy, loadPolicy, loadServerConfig } from './load.ts'
export { ownMaskKey } from './mask-key.ts'
export type {
  AccessEntry,
  ApproveTerms,
  Conditions,
  Detector,
  FilterEffect,
  FunctionEntry,
  MaskWord,
  May,
  PeopleEntry,
  PolicyDocument,
  PolicyLimit,
  PolicyMask,
  PolicyRule,
  PolicyTest,
  RuleEffect,
} from './policy-document.ts'
export type { TimeWindow } from './policy-time.ts'
export { ConfigProblems, formatProblem, type Problem } from './problems.ts'
export { publishedSchemas } from './published.ts'
export type {
  Address,
  Algorithm,
  CiIssuer,
  CredentialSource,
  ExportSink,
  IssuerConfig,
  NotifyChannel,
  PeopleIssuer,
  SecretSource,
  ServerConfig,
  SslMode,
  TargetConfig,
} from './types.ts'
