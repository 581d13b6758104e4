/** Somebody who can sign in at the demo's identity provider. */
export type Person = {
  /** What they are called in URLs and commands. */
  readonly id: string
  readonly name: string
  readonly email: string
  readonly groups: readonly string[]
  /** One line for the sign-in page. */
  readonly about: string
}

/** The demo's cast. */
export const PEOPLE: readonly Person[] = [
  {
    id: 'ana',
    name: 'Ana Ruiz',
    email: 'ana@acme.example',
    groups: ['engineering'],
    about: 'Developer. May read and write, but not change the schema.',
  },
  {
    id: 'ben',
    name: 'Ben Okafor',
    email: 'ben@acme.example',
    groups: ['dba'],
    about: 'Database administrator. May change the schema, sees everyone’s audit records.',
  },
  {
    id: 'lee',
    name: 'Lee Tran',
    email: 'lee@acme.example',
    groups: ['support'],
    about: 'Support. May only read.',
  },
]
