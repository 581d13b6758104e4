import { crc32, deflateRaw, inflateRawSync } from 'node:zlib'

/**
 * The gzip members a recording is made of. Each says its own length in an extra field (as BGZF does), so
 * that a reader knows without inflating whether it is all there: `DG`, 4 bytes, the length of the whole
 * member, little-endian.
 *
 * Source: RFC 1952.
 */

/** Header with its extra field, and the trailer: CRC-32 and length of what is inside. */
const HEAD_BYTES = 20
const TAIL_BYTES = 8
const LENGTH_AT = 16
const HEAD = Buffer.from('1f8b0804000000000003080044470400', 'hex')
/** Favours speed: texts of SQL and rows shrink to a fifth at any level. */
const LEVEL = 1
/** What a person's session brings at a time needs no large tables to be packed with. */
const SMALL_BYTES = 4096
const SMALL = { windowBits: 12, memLevel: 5 }
/** The most a member may hold. A file that says more is not ours, or hostile. */
export const MAX_MEMBER_BYTES = 256 * 1024 * 1024

/** Packs bytes into one member, off this thread. */
export async function packMember(content: Buffer): Promise<Buffer> {
  const deflated = await new Promise<Buffer>((resolve, reject) => {
    // One piece of output: each piece costs a turn of the thread that serves.
    const chunkSize = content.length + 128
    const tables = content.length < SMALL_BYTES ? SMALL : {}
    deflateRaw(content, { level: LEVEL, chunkSize, ...tables }, (error, packed) => {
      if (error === null) resolve(packed)
      else reject(error)
    })
  })
  const member = Buffer.allocUnsafe(HEAD_BYTES + deflated.length + TAIL_BYTES)
  HEAD.copy(member)
  member.writeUInt32LE(member.length, LENGTH_AT)
  deflated.copy(member, HEAD_BYTES)
  member.writeUInt32LE(crc32(content), member.length - TAIL_BYTES)
  member.writeUInt32LE(content.length, member.length - 4)
  return member
}

/**
 * The length of the member that begins at `at`; undefined while its header is not all there.
 *
 * Returns null for what is no member of ours.
 */
export function memberLength(bytes: Buffer, at: number): number | undefined | null {
  const there = Math.min(bytes.length - at, HEAD.length)
  if (bytes.compare(HEAD, 0, there, at, at + there) !== 0) return null
  if (bytes.length - at < HEAD_BYTES) return undefined
  const length = bytes.readUInt32LE(at + LENGTH_AT)
  return length >= HEAD_BYTES + TAIL_BYTES && length <= MAX_MEMBER_BYTES ? length : null
}

/** What is inside a whole member; undefined where it was changed. */
export function unpackMember(member: Buffer): Buffer | undefined {
  const size = member.readUInt32LE(member.length - 4)
  if (size > MAX_MEMBER_BYTES) return undefined
  try {
    const deflated = member.subarray(HEAD_BYTES, member.length - TAIL_BYTES)
    const content = inflateRawSync(deflated, { maxOutputLength: Math.max(1, size) })
    const isIntact =
      content.length === size && crc32(content) === member.readUInt32LE(member.length - TAIL_BYTES)
    return isIntact ? content : undefined
  } catch {
    return undefined
  }
}
