/** Told when a record it waits for was refused by the log. */
export type Owner = { refused(): void }

/**
 * Records on their way to the file, in order. Those with an owner are *staged*: someone waits for them to be
 * on file and refuses the statement otherwise. The others tell what has happened already and can wait.
 */
export class Queue {
  texts: string[] = []
  staged = 0
  chars = 0
  #owners: (Owner | undefined)[] = []
  #ids: (string | undefined)[] = []

  push(text: string, owner: Owner | undefined, id: string | undefined): void {
    this.texts.push(text)
    this.#owners.push(owner)
    this.#ids.push(id)
    this.chars += text.length
    if (owner !== undefined) this.staged++
  }

  clear(): void {
    this.texts.length = 0
    this.#owners.length = 0
    this.#ids.length = 0
    this.chars = 0
    this.staged = 0
  }

  /**
   * After a failed write of which the first `onFile` records came through: removes those, and every staged
   * one, whose owners are told. Returns how many staged records were refused, and the ids of the
   * statements among them that are on file all the same.
   */
  settle(onFile: number): { refused: number; recorded: string[] } {
    const rest = new Queue()
    const recorded: string[] = []
    let refused = 0
    for (const [index, text] of this.texts.entries()) {
      const owner = this.#owners[index]
      const id = this.#ids[index]
      if (owner !== undefined) {
        refused++
        owner.refused()
        if (index < onFile && id !== undefined) recorded.push(id)
      } else if (index >= onFile) {
        rest.push(text, undefined, undefined)
      }
    }
    this.texts = rest.texts
    this.#owners = rest.#owners
    this.#ids = rest.#ids
    this.chars = rest.chars
    this.staged = 0
    return { refused, recorded }
  }
}
