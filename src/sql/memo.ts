/** What is kept under a key, with the bytes it is counted as. */
type Entry<V> = { readonly value: V; readonly bytes: number }

/**
 * The least recently used go first, bounded by entries and by bytes.
 *
 * Units: `bytes` is what the caller says a value weighs; the key's own length is added.
 */
export class Memo<V> {
  readonly #entries = new Map<string, Entry<V>>()
  readonly #maxEntries: number
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries
    this.#maxBytes = maxBytes
  }

  /** How many entries are kept, and how many bytes they count as. */
  get size(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#entries.size, bytes: this.#bytes }
  }

  /** Returns what is kept under a key, which makes it the most recently used. */
  get(key: string): V | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  /** Keeps a value, unless it alone weighs more than all may. */
  set(key: string, value: V, bytes: number): void {
    this.#drop(key)
    const weight = bytes + key.length
    if (weight > this.#maxBytes) return
    this.#entries.set(key, { value, bytes: weight })
    this.#bytes += weight
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxEntries && this.#bytes <= this.#maxBytes) break
      this.#drop(oldest)
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
  }
}
