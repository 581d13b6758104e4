import { join } from 'node:path'
import type { ExportSink } from '../config/index.ts'
import { Exporter, type ExporterOptions } from './exporter.ts'

/** All sinks of a server. */
export class Exports {
  readonly #options: Omit<ExporterOptions, 'cursorFile'> & { readonly stateDir: string }
  #running = new Map<string, { readonly key: string; readonly exporter: Exporter }>()
  #changing: Promise<void> = Promise.resolve()

  constructor(
    sinks: readonly ExportSink[],
    options: Omit<ExporterOptions, 'cursorFile'> & { readonly stateDir: string },
  ) {
    this.#options = options
    this.configure(sinks)
  }

  /** Replaces the sinks. One that stays as it was is not disturbed; one that changed goes on where it was. */
  configure(sinks: readonly ExportSink[]): void {
    this.#changing = this.#changing.then(() => this.#replace(sinks))
  }

  /** Ends all of them; the next start goes on from there. */
  async close(): Promise<void> {
    this.configure([])
    await this.#changing
  }

  async #replace(sinks: readonly ExportSink[]): Promise<void> {
    const wanted = new Map(sinks.map(sink => [sink.name, sink]))
    for (const [name, { key, exporter }] of this.#running) {
      const sink = wanted.get(name)
      if (sink !== undefined && JSON.stringify(sink) === key) continue
      this.#running.delete(name)
      await exporter.close()
    }
    for (const sink of sinks) {
      if (this.#running.has(sink.name)) continue
      const cursorFile = join(this.#options.stateDir, 'export', `${sink.name}.json`)
      const exporter = new Exporter(sink, { ...this.#options, cursorFile })
      this.#running.set(sink.name, { key: JSON.stringify(sink), exporter })
    }
  }
}
