import {
  buildCatalog,
  CATALOG_QUERIES,
  CATALOG_VERSION_QUERY,
  type Catalog,
  type CatalogPart,
} from '../sql/index.ts'
import type { SideConnection } from './side-connection.ts'

type InUse = { readonly keeper: CatalogKeeper; readonly place: string; users: number }

/** The catalogs in use, one for each database and role, shared by the sessions that have the same. */
export class Catalogs {
  readonly #inUse = new Map<string, InUse>()

  /**
   * Takes the catalog under a key; `make` makes it for the first user. What one role changes of the schema makes
   * the catalogs of all roles unknown that are of the same database: `place`.
   */
  take(key: string, place: string, make: (changed: () => void) => CatalogKeeper): CatalogKeeper {
    const found = this.#inUse.get(key) ?? {
      keeper: make(() => this.#changed(place)),
      place,
      users: 0,
    }
    this.#inUse.set(key, found)
    found.users += 1
    return found.keeper
  }

  #changed(place: string): void {
    for (const one of this.#inUse.values()) if (one.place === place) one.keeper.forget()
  }

  /** Gives it back; its connection closes with the last user. */
  release(key: string): void {
    const found = this.#inUse.get(key)
    if (found === undefined) return
    found.users -= 1
    if (found.users > 0) return
    found.keeper.close()
    this.#inUse.delete(key)
  }
}

/** What a session needs of the catalog: what is known, and a way to know better. */
export type CatalogView = {
  /** The catalog as last read; undefined after a change until it has been read again. */
  readonly current: Catalog | undefined
  /** As last read, whatever has changed since; undefined before it has been read. */
  readonly last: Catalog | undefined
  /** The catalog as of now: asks the database whether anything has changed. */
  readonly fresh: () => Promise<Catalog>
  /** Something that changes the schema is about to run, or has run. */
  readonly invalidate: () => void
}

export type CatalogKeeperOptions = {
  /** Opens a connection of the gate's own to the database. */
  readonly open: () => Promise<SideConnection>
  /** Epoch milliseconds. */
  readonly now: () => number
  /** A catalog older than this is checked again before it is relied upon. */
  readonly maxAgeMs: number
  readonly timeoutMs: number
  /** Tells those that know the same database. */
  readonly changed?: (() => void) | undefined
  /** Told of each catalog before anybody relies on it. */
  readonly onRead?: (catalog: Catalog) => void
}

/**
 * What the gate knows of one database's schema. Everything that changes the schema through the gate makes
 * it unknown at once; changes made elsewhere are found when the catalog is older than `maxAgeMs`.
 */
export class CatalogKeeper implements CatalogView {
  readonly #options: CatalogKeeperOptions
  #connection: SideConnection | null = null
  #catalog: Catalog | undefined
  #version: string | null = null
  #checkedAt = Number.NEGATIVE_INFINITY
  /** Counts what may have changed the schema: a reading begun before the last change does not count. */
  #changes = 0
  #reading: Promise<Catalog> | null = null

  constructor(options: CatalogKeeperOptions) {
    this.#options = options
  }

  get current(): Catalog | undefined {
    const isRecent = this.#options.now() - this.#checkedAt < this.#options.maxAgeMs
    return isRecent ? this.#catalog : undefined
  }

  get last(): Catalog | undefined {
    return this.#catalog
  }

  invalidate(): void {
    this.forget()
    this.#options.changed?.()
  }

  /** As `invalidate`, without telling others. */
  forget(): void {
    this.#changes += 1
    this.#checkedAt = Number.NEGATIVE_INFINITY
  }

  /** Throws: UPSTREAM (08006), UNREACHABLE (08001) when the database can't be asked. */
  fresh(): Promise<Catalog> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null
    })
    return this.#reading
  }

  close(): void {
    this.#connection?.close()
    this.#connection = null
  }

  async #read(): Promise<Catalog> {
    for (;;) {
      const changes = this.#changes
      const connection = await this.#connect()
      const [version = null] = await connection.query(
        CATALOG_VERSION_QUERY,
        this.#options.timeoutMs,
      )
      if (this.#catalog === undefined || version !== this.#version) {
        const catalog = await this.#load(connection)
        this.#options.onRead?.(catalog)
        this.#catalog = catalog
        this.#version = version
      }
      if (changes !== this.#changes) continue
      this.#checkedAt = this.#options.now()
      return this.#catalog
    }
  }

  async #load(connection: SideConnection): Promise<Catalog> {
    const rows = new Map<CatalogPart, readonly string[]>()
    for (const { part, sql } of CATALOG_QUERIES) {
      const found = await connection.query(sql, this.#options.timeoutMs)
      if (part !== undefined)
        rows.set(
          part,
          found.filter(row => row !== null),
        )
    }
    return buildCatalog(rows)
  }

  async #connect(): Promise<SideConnection> {
    if (this.#connection?.isOpen !== true) this.#connection = await this.#options.open()
    return this.#connection
  }
}
