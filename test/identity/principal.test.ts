import assert from 'node:assert/strict'
import { TokenRefused, type TrustedIssuer } from '../../src/identity/index.ts'
import { principalOf } from '../../src/identity/principal.ts'

const people: TrustedIssuer = {
  name: 'okta',
  kind: 'people',
  issuer: 'https://id.acme.dev',
  clientId: 'x',
  audience: ['x'],
  algorithms: ['RS256'],
  clockToleranceMs: 0,
  claims: { user: 'email', name: 'name', groups: 'groups' },
}
const jobs: TrustedIssuer = {
  name: 'github',
  kind: 'ci',
  issuer: 'https://ci.dev',
  audience: ['x'],
  algorithms: ['RS256'],
  clockToleranceMs: 0,
  accept: [
    {
      match: { repository: ['acme/shop'], environment: ['production', 'staging'] },
      as: 'ci/shop',
      groups: ['ci'],
    },
    {
      match: { run_attempt: ['1'], protected: ['true'], teams: ['a'] },
      as: 'ci/typed',
      groups: [],
    },
    { match: {}, as: 'ci/anybody', groups: ['admins'] },
  ],
}

function of(issuer: TrustedIssuer, claims: Record<string, unknown>) {
  try {
    const base = { iss: issuer.issuer, sub: 's', exp: 1_800_000_000 }
    return principalOf(issuer, { ...base, email: 'ana@acme.dev', ...claims })
  } catch (error) {
    assert.ok(error instanceof TokenRefused, String(error))
    return error.reason
  }
}
const reading = (groups: string) =>
  ({ ...people, claims: { user: 'email', name: 'name', groups } }) as TrustedIssuer
const groupsOf = (issuer: TrustedIssuer, claims: Record<string, unknown>) => {
  const principal = of(issuer, claims)
  return typeof principal === 'string' ? principal : principal.groups
}
const userOf = (issuer: TrustedIssuer, claims: Record<string, unknown>) => {
  const principal = of(issuer, claims)
  return typeof principal === 'string' ? principal : principal.user
}

describe('identity/principal', () => {
  it('reads groups as a list, as one string, or as none', () => {
    assert.deepEqual(groupsOf(people, { groups: ['a', 'b', 'a'] }), ['a', 'b'])
    assert.deepEqual(groupsOf(people, { groups: 'not admins' }), ['not admins'])
    assert.deepEqual(groupsOf(people, {}), [])
    assert.deepEqual(groupsOf(people, { groups: null }), [])
  })

  it('refuses groups that are something else', () => {
    for (const groups of [
      { admins: {} },
      7,
      true,
      ['a', 1],
      [['a']],
      [''],
      ['a\u202eb'],
      ['a\nb'],
    ]) {
      assert.equal(groupsOf(people, { groups }), 'claims')
    }
    assert.equal(groupsOf(people, { groups: Array.from({ length: 2001 }, String) }), 'groups')
  })

  it('finds nested claims, and claims with dots in their names first', () => {
    const nested = { realm_access: { roles: ['dba'] } }
    assert.deepEqual(groupsOf(reading('realm_access.roles'), nested), ['dba'])
    const url = 'https://acme.dev/groups'
    assert.deepEqual(groupsOf(reading(url), { [url]: ['dba'] }), ['dba'])
    assert.deepEqual(groupsOf(reading('cognito:groups'), { 'cognito:groups': ['x'] }), ['x'])
    assert.deepEqual(groupsOf(reading('constructor.name'), {}), [])
    assert.deepEqual(groupsOf(reading('__proto__'), {}), [])
  })

  it('knows Entra’s overage markers, and only where groups are missing for them', () => {
    assert.equal(groupsOf(people, { _claim_names: { groups: 'src1' } }), 'overage')
    assert.equal(groupsOf(people, { hasgroups: true }), 'overage')
    assert.deepEqual(groupsOf(people, { _claim_names: { other: 'src1' } }), [])
    assert.deepEqual(groupsOf(people, { hasgroups: true, groups: ['a'] }), ['a'])
  })

  it('takes nobody for a user', () => {
    for (const email of [undefined, '']) assert.equal(userOf(people, { email }), 'no-user')
    for (const email of [7, ['ana@acme.dev'], 'a\0b', 'ana\u200b@acme.dev', 'x'.repeat(321)]) {
      assert.equal(userOf(people, { email }), 'claims')
    }
    assert.equal(userOf(people, { email: 'ci/shop' }), 'no-user')
  })

  it('takes an address only if the provider does not say it is unverified', () => {
    for (const no of [false, 'false']) {
      assert.equal(userOf(people, { email_verified: no }), 'unverified-email')
    }
    for (const yes of [true, 'true', undefined]) {
      assert.equal(userOf(people, { email_verified: yes }), 'ana@acme.dev')
    }
  })

  it('calls people by their user name where the display name is missing or odd', () => {
    for (const name of [undefined, '', 7, 'a\u202eb']) {
      const principal = of(people, { name })
      assert.equal(typeof principal === 'string' ? principal : principal.name, 'ana@acme.dev')
    }
  })

  it('names a job by the first entry whose claims all match', () => {
    const job = { repository: 'acme/shop', environment: 'staging' }
    assert.deepEqual(of(jobs, job), {
      issuer: 'https://ci.dev',
      subject: 's',
      user: 'ci/shop',
      name: 'ci/shop',
      groups: ['ci'],
      expiresAt: 1_800_000_000_000,
    })
    assert.equal(userOf(jobs, { run_attempt: 1, protected: true, teams: ['b', 'a'] }), 'ci/typed')
  })

  it('refuses jobs that match nothing, and never by an entry that asks for nothing', () => {
    for (const job of [
      {},
      { repository: 'acme/shop' },
      { repository: 'acme/shop', environment: 'dev' },
      { repository: 'ACME/shop', environment: 'production' },
      { repository: 'acme/shop-evil', environment: 'production' },
      { repository: { 'acme/shop': 1 }, environment: 'production' },
    ]) {
      assert.equal(userOf(jobs, job), 'no-match')
    }
  })
})
