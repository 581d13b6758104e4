import { isAscii, isUtf8 } from 'node:buffer'

/** A statement's text for people and for the log; `base64` holds the bytes where decoding lost something. */
export type RecordedText = { readonly text: string; readonly base64: string | undefined }

/** PostgreSQL's names of encodings that the platform can decode, by their WHATWG label. */
const LABELS: ReadonlyMap<string, string> = new Map([
  ['LATIN1', 'iso-8859-1'],
  ['LATIN2', 'iso-8859-2'],
  ['LATIN3', 'iso-8859-3'],
  ['LATIN4', 'iso-8859-4'],
  ['LATIN5', 'windows-1254'],
  ['LATIN9', 'iso-8859-15'],
  ['LATIN10', 'iso-8859-16'],
  ['ISO_8859_5', 'iso-8859-5'],
  ['ISO_8859_6', 'iso-8859-6'],
  ['ISO_8859_7', 'iso-8859-7'],
  ['ISO_8859_8', 'iso-8859-8'],
  ['WIN866', 'ibm866'],
  ['WIN874', 'windows-874'],
  ['WIN1250', 'windows-1250'],
  ['WIN1251', 'windows-1251'],
  ['WIN1252', 'windows-1252'],
  ['WIN1253', 'windows-1253'],
  ['WIN1254', 'windows-1254'],
  ['WIN1255', 'windows-1255'],
  ['WIN1256', 'windows-1256'],
  ['WIN1257', 'windows-1257'],
  ['WIN1258', 'windows-1258'],
  ['KOI8R', 'koi8-r'],
  ['KOI8U', 'koi8-u'],
  ['EUC_JP', 'euc-jp'],
  ['EUC_KR', 'euc-kr'],
  ['EUC_CN', 'gbk'],
])

/**
 * Encodings in which a byte of a longer character may look like ASCII: a quote or backslash that the
 * server does not see as one. The parser reads bytes, so text in these can't be judged.
 * Source: https://www.postgresql.org/docs/current/multibyte.html, the client-only encodings.
 */
const AMBIGUOUS = new Set([
  'BIG5',
  'GB18030',
  'GBK',
  'JOHAB',
  'SHIFT_JIS_2004',
  'SJIS',
  'UHC',
  'MULE_INTERNAL',
])

/** True for a client_encoding whose text the gate can't read safely; any spelling PostgreSQL accepts. */
export function isAmbiguousEncoding(name: string): boolean {
  const plain = name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '')
  for (const encoding of AMBIGUOUS) {
    if (encoding.replaceAll('_', '') === plain) return true
  }
  return [
    'SHIFTJIS',
    'MSKANJI',
    'WIN932',
    'WIN936',
    'WIN949',
    'WIN950',
    'WINDOWS932',
    'WINDOWS936',
    'WINDOWS949',
    'WINDOWS950',
  ].includes(plain)
}

/** True for a setting under which the server reads text otherwise than the gate's parser does. */
export function makesUnreadable(name: string, value: string): boolean {
  if (name === 'client_encoding') return isAmbiguousEncoding(value)
  return name === 'standard_conforming_strings' && !/^(on|t|tr|tru|true|y|ye|yes|1)$/i.test(value)
}

/**
 * Decodes statement text from the session's client_encoding, as PostgreSQL reports it. What can't be
 * decoded without loss is kept as bytes too, so that the record says exactly what was sent.
 */
export function decodeText(bytes: Buffer, encoding: string): RecordedText {
  if (isAscii(bytes)) return { text: bytes.toString('latin1'), base64: undefined }
  const label = LABELS.get(encoding)
  if (label !== undefined) {
    return { text: new TextDecoder(label).decode(bytes), base64: bytes.toString('base64') }
  }
  if (isUtf8(bytes)) return { text: bytes.toString('utf8'), base64: undefined }
  return { text: bytes.toString('utf8'), base64: bytes.toString('base64') }
}
