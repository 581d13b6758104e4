import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { DbgateError } from '../errors.ts'
import { isDamage } from './schema.ts'

/** Of the tables below. */
const VERSION = 1

/** The columns are what is searched for; `body` has the rest as JSON. */
const SCHEMA = `
  CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    issuer TEXT NOT NULL, subject TEXT NOT NULL,
    target TEXT NOT NULL,
    binding TEXT,
    filed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    finished_at INTEGER,
    body TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX one_open ON requests (binding) WHERE state = 'open' AND binding IS NOT NULL;
  CREATE INDEX by_binding ON requests (binding) WHERE binding IS NOT NULL;
  CREATE INDEX alive ON requests (expires_at) WHERE state IN ('open', 'approved');
  CREATE INDEX by_requester ON requests (issuer, subject, filed_at);
  CREATE INDEX by_time ON requests (filed_at);
  CREATE INDEX finished ON requests (finished_at) WHERE finished_at IS NOT NULL;
  -- Ids of what was deleted: the audit log still names them, so they are never given out again.
  CREATE TABLE spent (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  -- The latest time anything was decided by.
  CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), seen INTEGER NOT NULL) STRICT;
  INSERT INTO clock VALUES (1, 0);
  PRAGMA user_version = ${VERSION};
`

/**
 * Opens the holds in `file`, or makes an empty one of mode 0600. Unlike the index it can't be built anew: one
 * that is damaged stays as it is.
 *
 * Throws: INTEGRITY (XX001) it is damaged; INVALID (F0000) it is of a newer version; file system errors as they come.
 */
export function openHolds(file: string, busyMs: number): DatabaseSync {
  closeSync(openSync(file, 'a', 0o600))
  const db = new DatabaseSync(file, { timeout: busyMs })
  try {
    // FULL: an approval that was used must be known as used after a power cut too.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON')
    if (versionOf(db) === 0) create(db)
    const version = versionOf(db)
    if (version === VERSION) return db
    throw new DbgateError('INVALID', `${file} is of version ${version}, made by another dbgate`, {
      detail: `This dbgate reads version ${VERSION}.`,
    })
  } catch (error) {
    db.close()
    if (!isDamage(error)) throw error
    throw new DbgateError('INTEGRITY', `${file} is damaged`, {
      detail: 'It holds what waits for approval, what was approved and roles given for a while.',
      hint: 'Move it away to start with none of that: everything has to be asked for again.',
      cause: error,
    })
  }
}

/** Two processes may both find an empty file. */
function create(db: DatabaseSync): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    if (versionOf(db) === 0) db.exec(SCHEMA)
    db.exec('COMMIT')
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

function versionOf(db: DatabaseSync): number {
  return Number(db.prepare('PRAGMA user_version').get()?.user_version)
}
