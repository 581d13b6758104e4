/**
 * Who may do what: (principal, grant, statement) → verdict. Pure, synchronous, total.
 *
 * Invariant: nothing here allows what it does not understand. The order of entries in a policy means
 * nothing; the strictest answer wins.
 */
export { evaluate, type Verdict } from './evaluate.ts'
export { compilePolicy, type Grant, grantFor, isUnrestricted, type Policy } from './grant.ts'
