import { createHmac, hash } from 'node:crypto'

/** What tokens begin with, so that they can be told from values. */
export const TOKEN_PREFIX = 'dgt_'
/** 100 bits: no two values of any database share a token. */
const TOKEN_LETTERS = 20
/** Letters of a whole token. */
export const TOKEN_BYTES = TOKEN_PREFIX.length + TOKEN_LETTERS
const BLOCK_BYTES = 64
const DIGEST_BYTES = 32
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** What one domain makes of values; `bytes` are canonical, not as on the wire. */
export type Tokens = {
  /** `dgt_` and twenty letters, for text. */
  readonly ofText: (bytes: Buffer) => Buffer
  /** The 16 bytes of a UUID of version 8, for the 16 bytes of a UUID. */
  readonly ofUuid: (bytes: Buffer) => Buffer
  /** From 2^62 to 2^63 - 1, for the 8 bytes of an int8. */
  readonly ofInt8: (bytes: Buffer) => bigint
}

/**
 * Tokens are keyed: without the key nobody can say which value a token stands for, nor try values out. Each domain
 * has a key of its own, so that tokens of two domains can't be joined.
 *
 * @param key the 32 bytes that the server keeps
 */
export function tokensOf(key: Buffer, domain: string): Tokens {
  const own = createHmac('sha256', key).update(`dbgate token 1\0${domain}`, 'utf8').digest()
  // The family of types goes in too: the text '16 bytes' is not the UUID of these bytes.
  const ofText = hmac(own, 'text\0')
  const ofUuid = hmac(own, 'uuid\0')
  const ofInt8 = hmac(own, 'int8\0')
  return {
    ofText: bytes => textToken(ofText(bytes)),
    ofUuid: bytes => {
      const uuid = ofUuid(bytes).subarray(0, 16)
      // So that it can be told from a value, and from what others make of version 8.
      uuid.writeUInt16BE(0xdb9a)
      uuid[6] = 0x80 | ((uuid[6] ?? 0) & 0x0f)
      uuid[8] = 0x80 | ((uuid[8] ?? 0) & 0x3f)
      return uuid
    },
    ofInt8: bytes => BigInt.asUintN(62, ofInt8(bytes).readBigUInt64BE(0)) | (1n << 62n),
  }
}

/**
 * HMAC-SHA-256 of a prefix and bytes. By hand, because Node's Hmac object costs several times what it computes, and
 * this runs once for each value.
 * Source: RFC 2104
 */
export function hmac(key: Buffer, prefix: string): (bytes: Buffer) => Buffer {
  const padded = (fill: number) => Buffer.alloc(BLOCK_BYTES).map((_, at) => (key[at] ?? 0) ^ fill)
  const inner = Buffer.concat([padded(0x36), Buffer.from(prefix, 'latin1')])
  const outer = Buffer.concat([padded(0x5c), Buffer.alloc(DIGEST_BYTES)])
  return bytes => {
    const message = Buffer.allocUnsafe(inner.length + bytes.length)
    inner.copy(message)
    bytes.copy(message, inner.length)
    // As a string, which Node makes in a third of the time of a buffer.
    outer.write(hash('sha256', message, 'latin1'), BLOCK_BYTES, 'latin1')
    return Buffer.from(hash('sha256', outer, 'latin1'), 'latin1')
  }
}

function textToken(digest: Buffer): Buffer {
  const token = Buffer.allocUnsafe(TOKEN_BYTES)
  token.write(TOKEN_PREFIX, 'latin1')
  let bits = 0
  let held = 0
  let from = 0
  for (let at = TOKEN_PREFIX.length; at < TOKEN_BYTES; at++) {
    if (held < 5) {
      bits = ((bits & 0x1f) << 8) | (digest[from++] ?? 0)
      held += 8
    }
    held -= 5
    token[at] = BASE32.charCodeAt((bits >> held) & 0x1f)
  }
  return token
}
