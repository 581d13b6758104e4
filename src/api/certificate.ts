import { createHash, createSign, generateKeyPairSync, X509Certificate } from 'node:crypto'

/** A server certificate and its private key, both PEM. */
export type OwnCertificate = { readonly cert: string; readonly key: string }

const YEAR_MS = 365.25 * 24 * 3600 * 1000
const VALID_YEARS = 10
const SERIAL_BYTES = 16

/**
 * Makes a self-signed certificate for a server that was given none: an ECDSA P-256 key and an X.509 v3
 * certificate for these names. Nobody can verify it but by its fingerprint, which the client pins.
 *
 * @param names host names and IPv4 addresses it is for; the first is the subject
 * @param now epoch milliseconds
 * Source: RFC 5280 section 4.1; the encoding is DER, ITU-T X.690.
 */
export function createCertificate(
  names: readonly string[],
  now: number,
  randomBytes: (count: number) => Buffer,
): OwnCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(
    set(sequence(OID_COMMON_NAME, der(UTF8_STRING, Buffer.from(names[0] ?? 'dbgate')))),
  )
  const serial = randomBytes(SERIAL_BYTES)
  serial[0] = (serial[0] ?? 0) & 0x7f || 1
  const toBeSigned = sequence(
    der(CONTEXT_0, der(INTEGER, Buffer.from([2]))),
    der(INTEGER, serial),
    ECDSA_WITH_SHA256,
    name,
    sequence(utcTime(now - 3600_000), utcTime(now + VALID_YEARS * YEAR_MS)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(CONTEXT_3, sequence(subjectAltName(names), BASIC_CONSTRAINTS, SERVER_AUTH)),
  )
  const signature = createSign('sha256').update(toBeSigned).sign(privateKey)
  const certificate = sequence(
    toBeSigned,
    ECDSA_WITH_SHA256,
    der(BIT_STRING, Buffer.concat([Buffer.from([0]), signature])),
  )
  return {
    cert: new X509Certificate(certificate).toString(),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** SHA-256 of a certificate's DER in lower-case hex: what people compare and clients pin. */
export function fingerprintOf(cert: string | Buffer): string {
  return createHash('sha256').update(new X509Certificate(cert).raw).digest('hex')
}

const [BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID] = [0x01, 0x02, 0x03, 0x04, 0x06]
const [UTF8_STRING, UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET] = [0x0c, 0x17, 0x18, 0x30, 0x31]
const [CONTEXT_0, CONTEXT_3, DNS_NAME, IP_ADDRESS] = [0xa0, 0xa3, 0x82, 0x87]

function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content)
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body])
}

/** Short form below 128, else the count of length bytes and the length. */
function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  if (length < 0x100) return Buffer.from([0x81, length])
  return Buffer.from([0x82, length >> 8, length & 0xff])
}

function sequence(...content: readonly Buffer[]): Buffer {
  return der(SEQUENCE, ...content)
}

function set(...content: readonly Buffer[]): Buffer {
  return der(SET, ...content)
}

/** UTCTime until 2049, GeneralizedTime after it (RFC 5280 section 4.1.2.5). */
function utcTime(at: number): Buffer {
  const digits = new Date(at).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)
  const isNear = Number(digits.slice(0, 4)) < 2050
  return der(
    isNear ? UTC_TIME : GENERALIZED_TIME,
    Buffer.from(`${isNear ? digits.slice(2) : digits}Z`),
  )
}

function extension(oid: Buffer, value: Buffer, isCritical = false): Buffer {
  const critical = isCritical ? [der(BOOLEAN, Buffer.from([0xff]))] : []
  return sequence(oid, ...critical, der(OCTET_STRING, value))
}

function subjectAltName(names: readonly string[]): Buffer {
  const entries = names.map(name => {
    const octets = name.split('.').map(Number)
    const isAddress =
      octets.length === 4 && octets.every(octet => Number.isInteger(octet) && octet < 256)
    return isAddress
      ? der(IP_ADDRESS, Buffer.from(octets))
      : der(DNS_NAME, Buffer.from(name, 'latin1'))
  })
  return extension(oid('551d11'), sequence(...entries))
}

function oid(hex: string): Buffer {
  return der(OID, Buffer.from(hex, 'hex'))
}

/** 2.5.4.3, 1.2.840.10045.4.3.2, 2.5.29.19 (not an authority), 2.5.29.37 with 1.3.6.1.5.5.7.3.1. */
const OID_COMMON_NAME = oid('550403')
const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'))
const BASIC_CONSTRAINTS = extension(oid('551d13'), sequence(), true)
const SERVER_AUTH = extension(oid('551d25'), sequence(oid('2b06010505070301')))
