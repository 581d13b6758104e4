/** `keytar` and `keyring` are two libraries for the same system keychain, `file` is none. */
export type KeychainKind = 'keytar' | 'keyring' | 'file'

/** Secrets by account name. Throws: INTERNAL if the keychain can't be used, with what it said. */
export type Keychain = {
  readonly kind: KeychainKind
  get(account: string): Promise<string | undefined>
  set(account: string, secret: string): Promise<void>
  /** False if there was nothing to delete. */
  delete(account: string): Promise<boolean>
}
