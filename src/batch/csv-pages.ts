/**
 * Cuts a stream of CSV into files of bounded size. Invariant: a file ends where a row ends; no more than a write is in memory.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { PipelineError } from '../domain/errors.ts';

export interface CsvFile {
  path: string;
  bytes: number;
}

export interface CsvPages {
  /** The next bytes of the stream. */
  take: (chunk: Buffer) => Promise<void>;
  /** Hands over the last file. Returns the last row's last field, null when there was no row. */
  end: () => Promise<string | null>;
  /** Closes what is open; the files stay. */
  abandon: () => Promise<void>;
}

/** A row's last field with its line end is shorter: it is an integer. */
const tailBytes = 32;

/** The server sends some kilobytes at a time: that many are collected for one write. */
const writeBytes = 512 * 1024;

/** `full` gets each file as soon as it has at least `bytesMax`, and holds up the stream until it resolves. */
export function createCsvPages(bytesMax: number, nextPath: () => string, full: (file: CsvFile) => Promise<void>): CsvPages {
  let file: { handle: FileHandle; path: string; bytes: number; collected: Buffer[]; collectedBytes: number } | null = null;
  let quoted = false;
  let tail: Buffer = Buffer.alloc(0);

  const flush = async (): Promise<void> => {
    if (!file || file.collectedBytes === 0) return;
    const { handle, collected } = file;
    file.collected = [];
    file.collectedBytes = 0;
    await handle.writeFile(Buffer.concat(collected)).catch(refuse);
  };
  const write = async (bytes: Buffer): Promise<void> => {
    if (bytes.length === 0) return;
    if (!file) {
      const path = nextPath();
      file = { path, handle: await open(path, 'wx', 0o600).catch(refuse), bytes: 0, collected: [], collectedBytes: 0 };
    }
    file.bytes += bytes.length;
    file.collected.push(bytes);
    file.collectedBytes += bytes.length;
    tail = bytes.length >= tailBytes ? bytes.subarray(-tailBytes) : Buffer.concat([tail, bytes]).subarray(-tailBytes);
    if (file.collectedBytes >= writeBytes) await flush();
  };
  const handOver = async (): Promise<void> => {
    if (!file) return;
    await flush();
    const { handle, path, bytes } = file;
    file = null;
    await handle.close();
    await full({ path, bytes });
  };

  return {
    take: async (chunk) => {
      const { rowEnd, endsQuoted } = scan(chunk, quoted, (file?.bytes ?? 0) + chunk.length >= bytesMax);
      quoted = endsQuoted;
      if (rowEnd === 0) return write(chunk);
      await write(chunk.subarray(0, rowEnd));
      await handOver();
      await write(chunk.subarray(rowEnd));
    },
    end: async () => {
      await handOver();
      return tail.length === 0 ? null : (/(-?\d+)\n$/.exec(tail.toString('latin1'))?.[1] ?? null);
    },
    abandon: async () => {
      await file?.handle.close();
    },
  };
}

const quote = 0x22;
const newline = 0x0a;

/**
 * Whether a quoted field is open at the end of `chunk` (a doubled quote closes and opens it), and, when asked, the place behind
 * the first line break outside of one; 0 when there is none.
 */
function scan(chunk: Buffer, startsQuoted: boolean, findRowEnd: boolean): { rowEnd: number; endsQuoted: boolean } {
  let quoted = startsQuoted;
  let rowEnd = 0;
  for (let at = 0; at < chunk.length; ) {
    const next = chunk.indexOf(quote, at);
    if (findRowEnd && rowEnd === 0 && !quoted) {
      const end = chunk.subarray(0, next === -1 ? chunk.length : next).indexOf(newline, at);
      if (end !== -1) rowEnd = end + 1;
    }
    if (next === -1) break;
    quoted = !quoted;
    at = next + 1;
  }
  return { rowEnd, endsQuoted: quoted };
}

/** A failure of the file system, as one of ours. */
function refuse(error: unknown): never {
  const { code, syscall } = error as NodeJS.ErrnoException;
  throw new PipelineError('scratch_refused', `The batch cannot write its scratch files (${syscall} ${code}): free the disk under SLUICE_DATA_DIR`, { details: { code, syscall } });
}
