// The few signatures we use of packages that ship no types.
declare module 'pg-copy-streams' {
  import type { Readable, Writable } from 'node:stream'
  import type { Submittable } from 'pg'
  export function from(sql: string): Writable & Submittable
  export function to(sql: string): Readable & Submittable
}

declare module 'pg-cursor' {
  import type { Submittable } from 'pg'
  export default class Cursor<T = Record<string, unknown>> implements Submittable {
    constructor(text: string, values?: unknown[])
    submit: (connection: import('pg').Connection) => void
    read(rows: number): Promise<T[]>
    close(): Promise<void>
  }
}
