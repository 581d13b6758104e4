import type { CreateFunctionStmt, DefElem, Node } from 'libpg-query'
import { Findings } from './raw.ts'
import { noteStoredSetting } from './visit-session.ts'
import { type Visitors, Walk } from './walk.ts'

/** The options of a definition; some can appear more than once. */
export function optionsOf(options: readonly Node[] | undefined): DefElem[] {
  return (options ?? []).flatMap(option => ('DefElem' in option ? [option.DefElem] : []))
}

function visitOptions(options: readonly Node[] | undefined, walk: Walk): void {
  for (const { defname, arg } of optionsOf(options)) {
    if (defname === 'set' && arg !== undefined && 'VariableSetStmt' in arg) {
      noteStoredSetting(arg.VariableSetStmt, walk)
    } else if (arg !== undefined) walk.node(arg)
  }
}

/** A body is judged as if it ran now: whoever may create it may call it. */
function visitCreateFunction(create: CreateFunctionStmt, walk: Walk): void {
  walk.kind('CREATE')
  walk.found.objects.add(create.is_procedure === true ? 'PROCEDURE' : 'FUNCTION')
  walk.found.need('ddl')
  walk.children('CreateFunctionStmt', create, ['options', 'sql_body'])
  visitOptions(create.options, walk)
  // What it sets, it sets where it is called.
  const apart = new Walk(new Findings(), walk.around)
  const isRead = noteFunctionBody(create, apart)
  walk.found.absorb(apart.found.raw('', ''))
  // A body that can't be read could do what nobody would let it do: then creating it takes the most
  // there is.
  if (!isRead) walk.found.need('admin', 'code')
}

/**
 * Notes what the body of a function does. Returns whether all of it could be read; what could not
 * counts as writing, and as code that is not understood.
 */
export function noteFunctionBody(create: CreateFunctionStmt, walk: Walk): boolean {
  const isRead = readBody(create, walk)
  // What a call leaves out is computed as well.
  for (const parameter of create.parameters ?? []) {
    const defexpr = 'FunctionParameter' in parameter && parameter.FunctionParameter.defexpr
    if (defexpr) walk.node(defexpr)
  }
  if (!isRead) walk.found.need('write', 'code')
  return isRead
}

function readBody(create: CreateFunctionStmt, walk: Walk): boolean {
  if (create.sql_body !== undefined) {
    return noteBody([create.sql_body], walk)
  }
  const options = optionsOf(create.options)
  const language = textOf(options.find(option => option.defname === 'language')?.arg)
  const body = textOf(options.find(option => option.defname === 'as')?.arg)
  if (language === 'plpgsql') return readPlpgsql(walk)
  if (language !== 'sql' || body === undefined) return false
  const statements = walk.around.parseBody(body)
  return statements !== undefined && noteBody(statements, walk)
}

/**
 * Notes what statements of a body do. What they set stays set in the session that calls it; whether names that they
 * prepare or drop are the session's can't be told, so that such a body is not read.
 */
function noteBody(statements: readonly Node[], walk: Walk): boolean {
  const body = walk.within(statements)
  walk.found.absorb(body)
  walk.found.settings.push(...body.settings)
  return body.steps.length === 0
}

function readPlpgsql(walk: Walk): boolean {
  const body = walk.around.parsePlpgsql()
  if (body === undefined) return false
  let isRead = !body.isDynamic
  for (const alternatives of body.pieces) {
    const nodes = firstParsed(alternatives, walk)
    if (nodes === undefined || !noteBody(nodes, walk)) isRead = false
  }
  return isRead
}

function firstParsed(alternatives: readonly string[], walk: Walk): readonly Node[] | undefined {
  for (const text of alternatives) {
    const nodes = walk.around.parseBody(text)
    if (nodes !== undefined) return nodes
  }
  return undefined
}

/** The one text of an option, written as a string or as a list of one. */
export function textOf(node: Node | undefined): string | undefined {
  if (node === undefined) return undefined
  if ('String' in node) return node.String.sval ?? ''
  if ('List' in node && node.List.items?.length === 1) return textOf(node.List.items[0])
  return undefined
}

/** Functions and procedures, and the code in them. */
export const FUNCTION_VISITORS: Visitors = {
  CreateFunctionStmt: visitCreateFunction,

  AlterFunctionStmt(alter, walk) {
    walk.kind('ALTER')
    walk.found.objects.add('FUNCTION')
    walk.found.need('ddl')
    walk.children('AlterFunctionStmt', alter, ['actions'])
    visitOptions(alter.actions, walk)
  },

  DoStmt(block, walk) {
    walk.kind('DO')
    walk.found.need('admin', 'code')
    const language = textOf(optionsOf(block.args).find(arg => arg.defname === 'language')?.arg)
    if (language === undefined || language === 'plpgsql') readPlpgsql(walk)
  },

  CallStmt(call, walk) {
    walk.kind('CALL')
    walk.found.need('read')
    const procedure = call.funccall
    if (procedure === undefined) walk.found.refuse('CALL of nothing')
    else {
      walk.call(procedure.funcname)
      walk.children('FuncCall', procedure)
    }
  },

  ReturnStmt(result, walk) {
    walk.found.need('read')
    walk.children('ReturnStmt', result)
  },
}
