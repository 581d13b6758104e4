import type { IncomingMessage } from 'node:http'
import { DbgateError } from '../errors.ts'
import type { JsonObject } from './shape.ts'

const MAX_BODY_BYTES = 64 * 1024

/**
 * Reads a request's body as a JSON object; no body is an empty one. Only `application/json` is taken, which a
 * page of another site cannot send without asking first.
 *
 * Throws: USAGE not JSON, or of another type; TOO_LARGE (54000) more than 64 KiB.
 */
export async function readBody(request: IncomingMessage): Promise<JsonObject> {
  const chunks: Buffer[] = []
  let bytes = 0
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge()
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw tooLarge()
    chunks.push(chunk)
  }
  if (bytes === 0) return {}
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json') {
    throw new DbgateError('USAGE', 'the content type of a request is application/json')
  }
  return parsed(Buffer.concat(chunks))
}

function parsed(body: Buffer): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw new DbgateError('USAGE', 'the body of the request is not JSON', { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DbgateError('USAGE', 'the body of the request is not a JSON object')
  }
  return { ...value }
}

function tooLarge(): DbgateError {
  return new DbgateError('TOO_LARGE', `a request has ${MAX_BODY_BYTES} bytes at most`)
}
