import { textWidth } from '../terminal.ts'

const ASCII_ONLY = /^[\x20-\x7e]*$/

/** Breaks a line of inert text into lines of at most `width` columns, none of it left out. */
export function folded(text: string, width: number): readonly string[] {
  if (text.length <= width && ASCII_ONLY.test(text)) return [text]
  // A statement may have ten million characters, nearly always plain ones.
  if (ASCII_ONLY.test(text)) {
    const count = Math.ceil(text.length / width)
    return Array.from({ length: count }, (_, index) =>
      text.slice(index * width, (index + 1) * width),
    )
  }
  const lines: string[] = []
  let line = ''
  let used = 0
  for (const character of text) {
    const wide = textWidth(character)
    if (used + wide > width) {
      lines.push(line)
      line = ''
      used = 0
    }
    line += character
    used += wide
  }
  return [...lines, line]
}
