import type { DefElem, Node, TransactionStmt, VariableSetStmt } from 'libpg-query'
import { Findings } from './raw.ts'
import { settingEffect } from './settings.ts'
import type { TransactionStep } from './statement.ts'
import { type Visitors, Walk } from './walk.ts'

/** A literal of SET as text: numbers as they were written; null for what is not a literal. */
export function literalOf(node: Node | undefined): string | null {
  if (node === undefined) return null
  if ('TypeCast' in node) return literalOf(node.TypeCast.arg)
  if ('String' in node) return node.String.sval ?? ''
  if ('Integer' in node) return String(node.Integer.ival ?? 0)
  if ('Float' in node) return node.Float.fval ?? ''
  if ('Boolean' in node) return node.Boolean.boolval === true ? 'on' : 'off'
  if (!('A_Const' in node)) return null
  const { ival, fval, sval, boolval } = node.A_Const
  if (ival !== undefined) return String(ival.ival ?? 0)
  if (fval !== undefined) return fval.fval ?? ''
  if (boolval !== undefined) return boolval.boolval === true ? 'on' : 'off'
  return sval === undefined ? null : (sval.sval ?? '')
}

/** The value of SET as PostgreSQL would show it: a list is joined by commas. */
function settingValue(set: VariableSetStmt): string | undefined | null {
  if (set.kind !== 'VAR_SET_VALUE') return undefined
  const literals = (set.args ?? []).map(literalOf)
  if (literals.includes(null)) return null
  return literals.join(', ')
}

function noteSetting(
  walk: Walk,
  name: string,
  value: string | undefined | null,
  local: boolean,
): void {
  const effect = settingEffect(name, value)
  walk.found.need(effect.need, effect.hazard)
  walk.found.settings.push({ name: name.toLowerCase(), value: value ?? undefined, local })
}

/**
 * `SET [SESSION CHARACTERISTICS AS] TRANSACTION …` and the modes of BEGIN are settings by another
 * name.
 */
function noteModes(walk: Walk, modes: readonly Node[] | undefined, prefix: string): void {
  for (const mode of modes ?? []) {
    if (!('DefElem' in mode)) {
      walk.found.refuse('a transaction mode')
      continue
    }
    const { defname = '', arg } = mode.DefElem
    noteSetting(walk, `${prefix}${defname}`, literalOf(arg), prefix === '')
  }
}

/** SET and RESET, at the top of a statement. */
function visitSet(set: VariableSetStmt, walk: Walk): void {
  walk.kind(set.kind?.startsWith('VAR_RESET') === true ? 'RESET' : 'SET')
  noteSet(set, walk)
  for (const arg of set.args ?? []) if (!('DefElem' in arg)) walk.node(arg)
}

function noteSet(set: VariableSetStmt, walk: Walk): void {
  const local = set.is_local === true
  switch (set.kind) {
    case 'VAR_RESET_ALL':
      // Back to what the session started with: what the gate pins, it pins there.
      walk.found.settings.push({ name: 'all', value: undefined, local: false })
      return
    case 'VAR_SET_MULTI':
      if (set.name === 'TRANSACTION') noteModes(walk, set.args, '')
      else if (set.name === 'SESSION CHARACTERISTICS') noteModes(walk, set.args, 'default_')
      else noteSetting(walk, set.name ?? '', null, local)
      return
    default:
      noteSetting(walk, set.name ?? '', settingValue(set), local)
  }
}

/**
 * The SET clause of a function or a role: it changes no setting of this session. What would need
 * 'admin' here needs it there.
 */
export function noteStoredSetting(set: VariableSetStmt, walk: Walk): void {
  const apart = new Walk(new Findings(), walk.around)
  noteSet(set, apart)
  walk.found.absorb(apart.found.raw('', ''))
}

const STEPS: Readonly<Record<string, readonly [kind: string, step: TransactionStep]>> = {
  TRANS_STMT_BEGIN: ['BEGIN', 'begin'],
  TRANS_STMT_START: ['BEGIN', 'begin'],
  TRANS_STMT_COMMIT: ['COMMIT', 'commit'],
  TRANS_STMT_ROLLBACK: ['ROLLBACK', 'rollback'],
  TRANS_STMT_SAVEPOINT: ['SAVEPOINT', 'savepoint'],
  TRANS_STMT_RELEASE: ['RELEASE', 'release'],
  TRANS_STMT_ROLLBACK_TO: ['ROLLBACK_TO', 'rollback-to'],
  TRANS_STMT_PREPARE: ['PREPARE_TRANSACTION', 'prepare'],
  TRANS_STMT_COMMIT_PREPARED: ['COMMIT_PREPARED', 'commit-prepared'],
  TRANS_STMT_ROLLBACK_PREPARED: ['ROLLBACK_PREPARED', 'rollback-prepared'],
}

function visitTransaction(transaction: TransactionStmt, walk: Walk): void {
  const [kind, step] = STEPS[transaction.kind ?? ''] ?? []
  if (kind === undefined || step === undefined) {
    walk.found.refuse(`transaction ${transaction.kind}`)
    return
  }
  walk.kind(kind)
  walk.found.idle = 'transaction'
  walk.found.transaction = step
  walk.found.chain = transaction.chain === true
  // A prepared transaction outlives its session, holds its locks, and anybody of the same role can
  // finish it.
  if (kind.includes('PREPARE')) walk.found.need('admin', 'server')
  noteModes(walk, transaction.options, '')
}

/** Statements about the session itself: settings, transactions, names, notifications. */
export const SESSION_VISITORS: Visitors = {
  VariableSetStmt: visitSet,
  TransactionStmt: visitTransaction,

  VariableShowStmt(_show, walk) {
    walk.kind('SHOW')
    walk.found.need('read')
  },

  ConstraintsSetStmt(constraints, walk) {
    walk.kind('SET_CONSTRAINTS')
    // Only a transaction that writes has constraints to check; the names are constraints, not
    // relations.
    walk.children('ConstraintsSetStmt', constraints, ['constraints'])
  },

  DiscardStmt(discard, walk) {
    walk.kind('DISCARD')
    const what = discard.target?.replace('DISCARD_', '').toLowerCase()
    if (what === 'all' || what === 'plans' || what === 'sequences' || what === 'temp') {
      walk.found.steps.push({ step: 'discard', what })
    } else walk.found.refuse(`DISCARD ${what}`)
    if (what === 'all') {
      walk.found.settings.push({ name: 'all', value: undefined, local: false })
    }
  },

  PrepareStmt(prepare, walk) {
    walk.kind('PREPARE')
    if (prepare.query === undefined) {
      walk.found.refuse('PREPARE of nothing')
      return
    }
    const statement = walk.within([prepare.query])
    walk.found.absorb(statement)
    walk.found.steps.push({ step: 'prepare', name: prepare.name ?? '', statement })
    walk.children('PrepareStmt', prepare, ['query'])
  },

  ExecuteStmt(execute, walk) {
    walk.kind('EXECUTE')
    walk.found.executes.add(execute.name ?? '')
    walk.children('ExecuteStmt', execute)
  },

  DeallocateStmt(deallocate, walk) {
    walk.kind('DEALLOCATE')
    const name = deallocate.isall === true ? undefined : deallocate.name
    walk.found.steps.push({ step: 'deallocate', name })
  },

  DeclareCursorStmt(declare, walk) {
    walk.kind('DECLARE')
    if (declare.query === undefined) {
      walk.found.refuse('DECLARE of nothing')
      return
    }
    const statement = walk.within([declare.query])
    walk.found.absorb(statement)
    const hold = ((declare.options ?? 0) & CURSOR_OPT_HOLD) !== 0
    walk.found.steps.push({ step: 'declare', name: declare.portalname ?? '', hold, statement })
  },

  FetchStmt(fetch, walk) {
    walk.kind(fetch.ismove === true ? 'MOVE' : 'FETCH')
    walk.found.need('read')
    walk.found.fetches.add(fetch.portalname ?? '')
  },

  ClosePortalStmt(close, walk) {
    walk.kind('CLOSE')
    walk.found.steps.push({ step: 'close', name: close.portalname })
  },

  ListenStmt(_listen, walk) {
    walk.kind('LISTEN')
    walk.found.need('read')
  },

  UnlistenStmt(_unlisten, walk) {
    walk.kind('UNLISTEN')
  },

  NotifyStmt(_notify, walk) {
    walk.kind('NOTIFY')
    walk.found.need('write')
  },
}

/** Source: CURSOR_OPT_HOLD in PostgreSQL's nodes/parsenodes.h. */
const CURSOR_OPT_HOLD = 0x0020

/** Reads a boolean option as PostgreSQL's defGetBoolean does; no value means true. */
export function booleanOption(option: DefElem): boolean | undefined {
  if (option.arg === undefined) return true
  const value = literalOf(option.arg)?.toLowerCase()
  if (value === 'true' || value === 'on' || value === '1') return true
  return value === 'false' || value === 'off' || value === '0' ? false : undefined
}
