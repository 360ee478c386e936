/**
 * The terminal as a screen of its own: alternate buffer, no cursor, keys one by one.
 * Invariant: on every way out (close, exit, an error that nobody caught) it is left as it was found.
 */
import { inheritedEnvironment } from '../../config.ts';
import type { Size } from './draw.ts';
import { plainText, styled, type Line } from './line.ts';

export interface Terminal {
  size: () => Size;
  /** Writes the lines that have changed. */
  draw: (lines: Line[]) => void;
  /** Safe to repeat. */
  close: () => void;
}

const enter = '\u001B[?1049h\u001B[?25l\u001B[2J';
const leave = '\u001B[?25h\u001B[?1049l';

/** Whether somebody sits there, at something that can draw. */
export function isTerminal(): boolean {
  const { TERM, CI } = inheritedEnvironment();
  return process.stdout.isTTY && process.stdin.isTTY && TERM !== 'dumb' && !CI;
}

/** `onKey` is called with what a key sends; `onResize` when every line must be drawn again. */
export function openTerminal(onKey: (key: string) => void, onResize: () => void): Terminal {
  const { stdin, stdout } = process;
  const paint = stdout.hasColors() ? styled : plainText;
  let shown: string[] = [];
  let open = true;
  const keys = (chunk: Buffer): void => onKey(chunk.toString());
  const resize = (): void => {
    shown = [];
    stdout.write('\u001B[2J');
    onResize();
  };
  const close = (): void => {
    if (!open) return;
    open = false;
    stdin.off('data', keys).pause();
    stdin.setRawMode(false);
    stdout.off('resize', resize).write(leave);
    process.off('exit', close).off('uncaughtExceptionMonitor', close);
  };
  stdin.on('error', close); // the terminal has gone; SIGHUP does the rest
  process.on('exit', close).on('uncaughtExceptionMonitor', close);
  stdout.write(enter);
  stdout.on('resize', resize);
  stdin.setRawMode(true);
  stdin.on('data', keys).resume();
  return {
    size: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
    draw: (lines) => {
      if (!open) return;
      const next = lines.map(paint);
      const changes = next.flatMap((line, i) => (line === shown[i] ? [] : [`\u001B[${i + 1};1H\u001B[2K${line}`]));
      shown = next;
      if (changes.length > 0) stdout.write(changes.join(''));
    },
    close,
  };
}
