/**
 * Message tags of protocol 3.x, spelled as in the PostgreSQL manual.
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

const ascii = (letter: string): number => letter.charCodeAt(0)

/** Tags a frontend sends after startup. `p` carries PasswordMessage, SASLInitialResponse and SASLResponse. */
export const FrontendTag = {
  Bind: ascii('B'),
  Close: ascii('C'),
  CopyData: ascii('d'),
  CopyDone: ascii('c'),
  CopyFail: ascii('f'),
  Describe: ascii('D'),
  Execute: ascii('E'),
  Flush: ascii('H'),
  FunctionCall: ascii('F'),
  Parse: ascii('P'),
  PasswordMessage: ascii('p'),
  Query: ascii('Q'),
  Sync: ascii('S'),
  Terminate: ascii('X'),
} as const

/** Tags a backend sends. */
export const BackendTag = {
  Authentication: ascii('R'),
  BackendKeyData: ascii('K'),
  BindComplete: ascii('2'),
  CloseComplete: ascii('3'),
  CommandComplete: ascii('C'),
  CopyBothResponse: ascii('W'),
  CopyData: ascii('d'),
  CopyDone: ascii('c'),
  CopyInResponse: ascii('G'),
  CopyOutResponse: ascii('H'),
  DataRow: ascii('D'),
  EmptyQueryResponse: ascii('I'),
  ErrorResponse: ascii('E'),
  FunctionCallResponse: ascii('V'),
  NegotiateProtocolVersion: ascii('v'),
  NoData: ascii('n'),
  NoticeResponse: ascii('N'),
  NotificationResponse: ascii('A'),
  ParameterDescription: ascii('t'),
  ParameterStatus: ascii('S'),
  ParseComplete: ascii('1'),
  PortalSuspended: ascii('s'),
  ReadyForQuery: ascii('Z'),
  RowDescription: ascii('T'),
} as const

const frontendNames = namesByTag(FrontendTag)
const backendNames = namesByTag(BackendTag)

/** The manual's name of a frontend tag, or undefined for a byte that is none. */
export function frontendName(tag: number): string | undefined {
  return frontendNames[tag]
}

/** The manual's name of a backend tag, or undefined for a byte that is none. */
export function backendName(tag: number): string | undefined {
  return backendNames[tag]
}

function namesByTag(tags: Readonly<Record<string, number>>): readonly (string | undefined)[] {
  const names: (string | undefined)[] = new Array(256).fill(undefined)
  for (const [name, tag] of Object.entries(tags)) names[tag] = name
  return names
}
