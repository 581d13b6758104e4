import { chmodSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { TOKENIZER } from './tokens.ts'

/** Of the tables below. An index of another version is built anew. */
const VERSION = 3

/** From how many rows on a statement is in an index of its own. */
export const LARGE_ROWS = 1000

const SCHEMA = `
  -- Where in the log the index ends: the last record it knows.
  CREATE TABLE position (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    segment INTEGER NOT NULL, byte INTEGER NOT NULL, sha256 TEXT NOT NULL,
    n INTEGER NOT NULL
  );
  -- Ids are chance: should two sessions ever have the same, neither takes the other's statements.
  CREATE TABLE sessions (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    user TEXT NOT NULL, via TEXT NOT NULL, target TEXT NOT NULL, role TEXT NOT NULL,
    name TEXT, issuer TEXT, subject TEXT, database TEXT, address TEXT, application TEXT,
    started_at INTEGER NOT NULL, ended_at INTEGER, reason TEXT,
    statements INTEGER NOT NULL DEFAULT 0,
    denied INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0,
    rows INTEGER NOT NULL DEFAULT 0
  );
  CREATE INDEX sessions_by_id ON sessions (id);
  CREATE INDEX sessions_by_time ON sessions (started_at);
  -- A statement or denial by its record's number; its id is the session's, a dot and the counter.
  CREATE TABLE statements (
    n INTEGER PRIMARY KEY,
    session INTEGER NOT NULL, counter INTEGER NOT NULL,
    t INTEGER NOT NULL,
    verdict TEXT NOT NULL, rule TEXT NOT NULL,
    class TEXT NOT NULL, kind TEXT NOT NULL, tables TEXT NOT NULL,
    -- What a tool asks on its own account, see background.ts.
    background INTEGER NOT NULL,
    -- The request it was held for, or was let through by.
    request TEXT,
    sha256 BLOB NOT NULL,
    outcome TEXT, rows INTEGER, bytes INTEGER, duration_us INTEGER, sqlstate TEXT, tag TEXT,
    -- Masked columns of the result, JSON.
    masked TEXT,
    sql TEXT NOT NULL
  );
  CREATE INDEX statements_by_id ON statements (session, counter);
  -- Whoever asks for many rows looks for the few that fetched them.
  CREATE INDEX statements_large ON statements (n) WHERE rows >= ${LARGE_ROWS};
  CREATE INDEX statements_masked ON statements (n) WHERE masked IS NOT NULL;
  -- The other few: to look at the background alone, and to leave it out quickly.
  CREATE INDEX statements_background ON statements (n) WHERE background = 1;
  -- What was filed for a person's decision, and who decided.
  CREATE TABLE requests (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, session TEXT, text_sha256 TEXT,
    approved_by TEXT NOT NULL
  );
  CREATE INDEX requests_by_text ON requests (text_sha256);
  -- Which records lie in which time. A clock may step back, so that numbers do not follow times.
  CREATE TABLE spans (
    first_n INTEGER PRIMARY KEY, last_n INTEGER NOT NULL, count INTEGER NOT NULL,
    min_t INTEGER NOT NULL, max_t INTEGER NOT NULL
  );
  CREATE VIRTUAL TABLE words USING fts5 (
    tokens, content='', detail=none, columnsize=0, tokenize="${TOKENIZER}"
  );
  -- Merging segments less often costs a little space and saves a third of the writing.
  INSERT INTO words (words, rank) VALUES ('automerge', 8);
  INSERT INTO words (words, rank) VALUES ('crisismerge', 32);
  PRAGMA user_version = ${VERSION};
`

/**
 * Opens the index, or makes an empty one where there is none, where it is of another version, or where
 * the file is no database: it holds nothing that the log does not.
 */
export function openDatabase(file: string): DatabaseSync {
  try {
    const db = connect(file)
    if (versionOf(db) === VERSION) return db
    db.close()
  } catch (error) {
    if (!isDamage(error)) throw error
  }
  removeDatabase(file)
  const db = connect(file)
  db.exec(`BEGIN; ${SCHEMA} COMMIT`)
  return db
}

/** Removes the index and what SQLite keeps beside it. */
export function removeDatabase(file: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(file + suffix, { force: true })
}

/** True for what SQLite says of a file that is damaged or no database. */
export function isDamage(thrown: unknown): boolean {
  const code = codeOf(thrown)
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB
}

/** True for an error that comes of what is in the file, rather than of the disk or another process. */
export function isUnusable(thrown: unknown): boolean {
  return isDamage(thrown) || codeOf(thrown) === SQLITE_ERROR
}

const SQLITE_ERROR = 1
const SQLITE_CORRUPT = 11
const SQLITE_NOTADB = 26

function codeOf(thrown: unknown): number | undefined {
  return thrown instanceof Error && 'errcode' in thrown ? Number(thrown.errcode) & 0xff : undefined
}

function connect(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: 5000 })
  try {
    // SQL is nobody else's business; what SQLite keeps beside the file takes its mode.
    chmodSync(file, 0o600)
    // Written by one process, and what a power cut takes away is indexed again.
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32000;
      PRAGMA wal_autocheckpoint = 4000; PRAGMA temp_store = MEMORY`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function versionOf(db: DatabaseSync): unknown {
  return db.prepare('PRAGMA user_version').get()?.user_version
}
