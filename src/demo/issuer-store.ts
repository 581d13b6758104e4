import type { Adapter, AdapterPayload } from 'oidc-provider'

type Entry = { readonly payload: AdapterPayload; readonly expiresAt: number }

/** Returns oidc-provider's storage, kept in memory and shared with nobody. One per issuer. */
export function createIssuerStore(now: () => number): (model: string) => Adapter {
  const entries = new Map<string, Entry>()

  return model => {
    const keyOf = (id: string) => `${model}:${id}`
    const get = (key: string): AdapterPayload | undefined => {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      if (entry.expiresAt > now()) return entry.payload
      entries.delete(key)
      return undefined
    }
    const findBy = (property: 'uid' | 'userCode', value: string) => {
      for (const [key, { payload }] of entries) {
        if (key.startsWith(`${model}:`) && payload[property] === value) return get(key)
      }
      return undefined
    }

    return {
      upsert: async (id, payload, expiresIn) => {
        const lifetimeMs = expiresIn ? expiresIn * 1000 : Number.POSITIVE_INFINITY
        entries.set(keyOf(id), { payload, expiresAt: now() + lifetimeMs })
      },
      find: async id => get(keyOf(id)),
      findByUid: async uid => findBy('uid', uid),
      findByUserCode: async userCode => findBy('userCode', userCode),
      consume: async id => {
        const payload = get(keyOf(id))
        if (payload !== undefined) payload.consumed = Math.floor(now() / 1000)
      },
      destroy: async id => {
        entries.delete(keyOf(id))
      },
      revokeByGrantId: async grantId => {
        for (const [key, { payload }] of entries) {
          if (payload.grantId === grantId) entries.delete(key)
        }
      },
    }
  }
}
