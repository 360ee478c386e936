/** Lines of the live screen: pieces of text with a style each. Every character takes one cell; whatever would not is replaced. */
import { stripVTControlCharacters } from 'node:util';

export type Style = 'plain' | 'bold' | 'dim' | 'good' | 'warn' | 'bad';
export type Span = string | [text: string, style: Style];
export type Line = Span[];

const codes: Record<Style, string> = { plain: '', bold: '1', dim: '2', good: '32', warn: '33', bad: '31' };

const textOf = (span: Span): string => (typeof span === 'string' ? span : span[0]);
const lengthOf = (line: Line): number => line.reduce((sum, span) => sum + textOf(span).length, 0);

/** Without styles. */
export const plainText = (line: Line): string => line.map(textOf).join('');

/** As a terminal takes it. */
export const styled = (line: Line): string =>
  line.map((span) => (typeof span === 'string' || codes[span[1]] === '' ? textOf(span) : `\u001B[${codes[span[1]]}m${span[0]}\u001B[0m`)).join('');

/** A text of others, such as an error: one cell a character, no control characters, no escape sequences. */
export const cleaned = (text: string): string => stripVTControlCharacters(text).replaceAll(/[^\x20-\x7E…·–→█░×]/gu, ' ');

/** At most `width` cells; what is cut off ends in …. */
export function cut(line: Line, width: number): Line {
  if (lengthOf(line) <= width) return line;
  const kept: Line = [];
  let left = Math.max(0, width - 1);
  for (const span of line) {
    const text = textOf(span).slice(0, left);
    if (text !== '') kept.push(typeof span === 'string' ? text : [text, span[1]]);
    left -= text.length;
  }
  return width > 0 ? [...kept, '…'] : [];
}

/** Exactly `width` cells. */
export function padded(line: Line, width: number): Line {
  const kept = cut(line, width);
  return [...kept, ' '.repeat(width - lengthOf(kept))];
}

/** Two parts of one line, the second at its right end. */
export function spread(left: Line, right: Line, width: number): Line {
  const room = width - lengthOf(right);
  return room < 1 ? cut(left, width) : [...padded(left, room), ...right];
}

/** Words in lines of at most `width` cells; no more than `linesMost`, the last one cut. */
export function wrapped(words: string[], separator: string, width: number, linesMost: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const longer = lines.length === 0 ? word : `${lines.at(-1)}${separator}${word}`;
    if (lines.length > 0 && (longer.length <= width || lines.length === linesMost)) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.map((line) => plainText(cut([line], width)));
}
