import type { Node } from 'libpg-query'
import { SHAPES } from './walk.ts'

/**
 * All nodes in the fields of a node, each in its wrapper. Undefined when it has a field that the grammar does not
 * know.
 */
export function nodesIn(
  type: string,
  value: unknown,
  except: readonly string[] = [],
): Node[] | undefined {
  const shape = SHAPES.get(type)
  if (shape === undefined) return undefined
  const found: Node[] = []
  if (typeof value !== 'object' || value === null) return found
  for (const key in value) {
    // Values of leaves, such as A_Const's, are not in the grammar's lines.
    if (shape.size === 0) return found
    const field = shape.get(key)
    if (field === undefined) return undefined
    if (field.type === undefined || except.includes(key)) continue
    const content: unknown = Reflect.get(value, key)
    for (const item of Array.isArray(content) ? content : [content]) {
      if (typeof item !== 'object' || item === null) return undefined
      // The tree is the parser's own: a node in a field of type Node has its wrapper.
      found.push((field.type === 'Node' ? item : { [field.type]: item }) as Node)
    }
  }
  return found
}
