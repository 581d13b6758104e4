/**
 * PostgreSQL protocol 3.0 and 3.2 as bytes: frames by offset, messages decoded only where somebody must
 * know what they say, and messages of our own.
 *
 * Invariants: no read leaves its frame and no decoder accepts trailing bytes; nothing we encode holds a
 * NUL inside a string; a byte that starts no known message is a violation, never skipped.
 * No sockets, no clock, no randomness: bytes in, values out.
 *
 * Source: https://www.postgresql.org/docs/current/protocol.html
 */
export {
  type AuthenticationRequest,
  decodeAuthentication,
  decodeBackendKeyData,
  decodeCommandComplete,
  decodeErrorFields,
  decodeParameterStatus,
  decodeReadyForQuery,
  decodeRowDescription,
  type ErrorFields,
  encodeAuthenticationCleartextPassword,
  encodeAuthenticationOk,
  encodeAuthenticationSASL,
  encodeAuthenticationSASLContinue,
  encodeAuthenticationSASLFinal,
  encodeBackendKeyData,
  encodeCommandComplete,
  encodeErrorResponse,
  encodeNegotiateProtocolVersion,
  encodeNotice,
  encodeNotification,
  encodeParameterStatus,
  encodeReadyForQuery,
  type FieldDescription,
  type TransactionStatus,
} from './backend.ts'
export { copyFrame, type Frame, type FramePart, FrameReader } from './frames.ts'
export {
  decodeFrontend,
  encodeDescribePortal,
  encodeExecute,
  encodeFlush,
  encodeParse,
  encodePassword,
  encodeQuery,
  encodeSASLInitialResponse,
  encodeSASLResponse,
  encodeSync,
  encodeTerminate,
  type FrontendMessage,
  type Parameter,
} from './frontend.ts'
export { BodyReader } from './reader.ts'
export {
  type ChannelBinding,
  createScramVerifier,
  md5Password,
  SCRAM,
  SCRAM_PLUS,
  ScramClient,
  ScramServer,
  type ScramVerifier,
} from './scram.ts'
export {
  encodeCancelRequest,
  encodeSSLRequest,
  encodeStartupMessage,
  MAX_STARTUP_BYTES,
  readStartupPacket,
  type StartupMessage,
  type StartupPacket,
} from './startup.ts'
export { BackendTag, backendName, FrontendTag, frontendName } from './tags.ts'
