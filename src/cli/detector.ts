/**
 * `sluice detector score <csv>`: each point of a file with its anomaly score, in one pass. A line goes out before the next is
 * read, so memory is bounded and no score knows the future. A line that is no point ends it with exit code 2 and its number;
 * what stood before it is on stdout by then.
 */
import { createReadStream } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { Command } from 'commander';
import { createDetector, type Verdict } from '../domain/detector/detector.ts';
import { plainColumns, readHeader, readPoint, type CsvPoint } from '../domain/detector/read-point.ts';

export function registerDetector(program: Command): void {
  program
    .command('detector')
    .description('The anomaly detector of the stream, on any series')
    .command('score')
    .description('Score each point of a series from 0 to 1; from 0.5 on it is an anomaly')
    .argument('<csv>', 'file of "timestamp,value" lines, with or without a header; - reads stdin')
    .option('--json', 'one JSON object per line, with the expected band and the reason')
    .addHelpText('after', '\nTimes: ISO 8601, YYYY-MM-DD HH:MM:SS (UTC), or seconds or milliseconds since 1970. A value that is empty or NaN is a missing\npoint and scores 0. Any other line that cannot be read ends the command with exit code 2 and the number of the line.')
    .action(async (path: string, { json }: { json?: true }) => {
      const problem = await scoreCsv(path === '-' ? process.stdin : createReadStream(path), process.stdout, json === true);
      if (problem === undefined) return;
      process.stderr.write(`${path}: ${problem}\n`);
      process.exitCode = 2;
    });
}

const lineBytesMost = 1024 * 1024;

/** Writes the scores to `out` until `input` or `out` ends. Returns what was wrong with the input, if anything. */
export async function scoreCsv(input: Readable, out: Writable, json: boolean): Promise<string | undefined> {
  const sink = createSink(out);
  const score = createLineScorer(json ? jsonLine : csvLine);
  const decoder = new StringDecoder('utf8');
  let rest = '';
  try {
    if (!json) await sink.write('timestamp,value,anomaly_score\n');
    for await (const chunk of input) {
      const lines = (rest + decoder.write(chunk as Buffer)).split('\n');
      rest = lines.pop() ?? '';
      const { text, problem } = score(rest.length > lineBytesMost ? [...lines, rest] : lines);
      await sink.write(text);
      if (problem !== undefined || sink.closed()) return problem;
    }
    const { text, problem } = score([rest + decoder.end()]);
    await sink.write(text);
    return problem;
  } catch (error) {
    return unreadable(error);
  } finally {
    sink.release();
    if (input !== process.stdin) input.destroy();
  }
}

/** Only what the file system says about the input; anything else is our fault and is thrown on. */
function unreadable(error: unknown): string {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (syscall === undefined) throw error;
  if (code === 'ENOENT') return 'there is no such file';
  return code === 'EISDIR' ? 'this is a folder, not a file' : `cannot be read (${message})`;
}

/** A function from the next lines to their output; it stops at the first line that is no point. */
function createLineScorer(format: (point: CsvPoint, verdict: Verdict) => string): (lines: string[]) => { text: string; problem?: string } {
  const detector = createDetector();
  let columns = plainColumns;
  let number = 0;
  let begun = false;
  return (lines) => {
    let text = '';
    for (const raw of lines) {
      number += 1;
      const line = (number === 1 ? raw.replace(/^\uFEFF/, '') : raw).replace(/\r$/, '');
      if (line.trim() === '') continue;
      const header = begun ? undefined : readHeader(line);
      begun = true;
      if (header) {
        columns = header;
        continue;
      }
      const point = line.length > lineBytesMost ? 'a line of more than a million characters' : readPoint(line, columns);
      if (typeof point === 'string') return { text, problem: `line ${number}: ${point}` };
      text += format(point, detector.observe(point));
    }
    return { text };
  };
}

const scoreDigits = 6;

const csvLine = ({ timestampText, valueText }: CsvPoint, { score }: Verdict): string => `${timestampText},${valueText},${score.toFixed(scoreDigits)}\n`;

function jsonLine({ timestampText, value }: CsvPoint, { score, expected, reason }: Verdict): string {
  const line = { timestamp: timestampText.trim(), value: Number.isFinite(value) ? value : null, anomaly_score: Number(score.toFixed(scoreDigits)), expected, reason };
  return `${JSON.stringify(line)}\n`;
}

/** Waits when the reader is slow; a reader that has gone (`| head`) ends the work and is no error. */
function createSink(out: Writable): { write: (text: string) => Promise<void>; closed: () => boolean; release: () => void } {
  let gone = false;
  let wake = (): void => undefined;
  const onDrain = (): void => wake();
  const onGone = (): void => {
    gone = true;
    wake();
  };
  out.on('drain', onDrain).on('error', onGone).on('close', onGone);
  return {
    write: async (text) => {
      if (gone || text === '' || out.write(text) || !out.writableNeedDrain) return;
      await new Promise<void>((resolve) => (wake = resolve));
    },
    closed: () => gone,
    release: () => void out.off('drain', onDrain).off('close', onGone),
  };
}
