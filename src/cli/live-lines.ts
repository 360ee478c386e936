/** Lines that stay, and below them, on a terminal, some that are written over. Invariant: what is printed is never written over. */
import type { Say } from '../stack/progress.ts';
import { wrapped } from './screen/line.ts';

export type LiveLines = ReturnType<typeof createLiveLines>;

export function createLiveLines(out: Pick<NodeJS.WriteStream, 'write' | 'columns' | 'rows'>) {
  let shown: string[] = [];
  let diverted: Say | null = null;
  /** A terminal that was made narrower has broken the lines. */
  const erase = (): string => {
    const rows = shown.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / (out.columns || 80))), 0);
    return rows > 0 ? `\r\u001B[${rows}A\u001B[J` : '';
  };
  return {
    print: (line: string): void => {
      if (diverted) diverted(line);
      else out.write(`${erase()}${line}\n${shown.map((one) => `${one}\n`).join('')}`);
    },
    /** Shows these in place of those before. */
    show: (lines: string[]): void => {
      if (diverted) return;
      const before = erase();
      shown = lines.flatMap((line) => wrapped(line.split(' '), ' ', (out.columns || 80) - 1, 3)).slice(-Math.max(1, (out.rows || 24) - 2));
      if (before !== '' || shown.length > 0) out.write(`${before}${shown.map((one) => `${one}\n`).join('')}`);
    },
    /** Gives what is printed to somebody else, until it is called with null. */
    divert: (to: Say | null): void => {
      diverted = to;
    },
  };
}
