/** The emscripten factory of libpg-query: the package declares types for its other entry only. */
declare module 'libpg-query/wasm/libpg-query.js' {
  export type LibpgQuery = {
    readonly HEAPU8: Uint8Array
    readonly HEAPU32: Uint32Array
    readonly UTF8ToString: (pointer: number) => string
    readonly _malloc: (bytes: number) => number
    readonly _free: (pointer: number) => void
    readonly _wasm_parse_query_raw: (text: number) => number
    readonly _wasm_free_parse_result: (result: number) => void
    readonly _wasm_fingerprint: (text: number) => number
    readonly _wasm_parse_plpgsql: (text: number) => number
    readonly _wasm_free_string: (text: number) => void
  }
  export type Options = {
    readonly instantiateWasm: (
      imports: WebAssembly.Imports,
      receive: (instance: WebAssembly.Instance) => void,
    ) => object
    readonly print?: (line: string) => void
    readonly printErr?: (line: string) => void
  }
  const createLibpgQuery: (options: Options) => Promise<LibpgQuery>
  export default createLibpgQuery
}

/** The part of the WebAssembly API that is used here; TypeScript declares it for browsers only. */
declare namespace WebAssembly {
  type Imports = Record<string, Record<string, unknown>>
  class Module {
    constructor(bytes: Uint8Array)
  }
  class Instance {
    constructor(module: Module, imports: Imports)
    readonly exports: Record<string, unknown>
  }
}
