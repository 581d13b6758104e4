/**
 * What is shown instead of a value.
 *
 * `token`: columns of one domain give the same token for the same value. `keep`: that many characters stay at
 * either end.
 */
export type Mask =
  | { readonly kind: 'redact' }
  | { readonly kind: 'nullify' }
  | { readonly kind: 'token'; readonly domain: string }
  | { readonly kind: 'email' }
  | { readonly kind: 'keep'; readonly first: number; readonly last: number }
  | { readonly kind: 'year' }
