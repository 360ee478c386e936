/**
 * How far a long command is, on stderr: on a terminal one line that is written over, elsewhere a line every ten seconds, so that
 * a log tells that something moves and stdout holds the result alone.
 */

export interface ProgressLine {
  /** `share` of the work, 0 … 1; a smaller one than before begins another piece of it. `text` says what is being done. */
  show: (share: number, text: string) => void;
  /** Takes the line away. */
  clear: () => void;
}

const barCells = 24;
const redrawMs = 100;
const lineMs = 10_000;
/** Before this an estimate is a guess. */
const estimateAfterMs = 2_000;

/** `nowMs` counts from any moment. */
export function createProgressLine(out: Pick<NodeJS.WriteStream, 'write' | 'columns'> & { isTTY?: boolean } = process.stderr, nowMs = () => performance.now()): ProgressLine {
  let startMs = nowMs();
  let reached = 0;
  const intervalMs = out.isTTY ? redrawMs : lineMs;
  let shownMs = out.isTTY ? Number.NEGATIVE_INFINITY : startMs;
  return {
    show: (share, text) => {
      const now = nowMs();
      if (share < reached) startMs = now;
      reached = share;
      if (now - shownMs < intervalMs) return;
      shownMs = now;
      const rest = remaining(share, now - startMs);
      const percent = `${Math.floor(share * 100)} %`;
      if (!out.isTTY) out.write(`${percent}  ${text}${rest}\n`);
      else out.write(`\r\u001B[K${`${bar(share)} ${percent.padStart(5)}  ${text}${rest}`.slice(0, (out.columns || 80) - 1)}`);
    },
    clear: () => {
      if (out.isTTY) out.write('\r\u001B[K');
    },
  };
}

const bar = (share: number): string => '█'.repeat(Math.round(share * barCells)).padEnd(barCells, '░');

function remaining(share: number, elapsedMs: number): string {
  if (share <= 0 || elapsedMs < estimateAfterMs) return '';
  const seconds = Math.ceil((elapsedMs * (1 - share)) / share / 1000);
  return seconds < 120 ? `, about ${seconds} s left` : `, about ${Math.ceil(seconds / 60)} min left`;
}
