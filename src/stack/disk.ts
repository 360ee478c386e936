/** Room on a disk: how much there is, waiting for it, and logs that do not take all of it. */
import { existsSync } from 'node:fs';
import { copyFile, readdir, stat, statfs, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Say } from './progress.ts';

/** Below this PostgreSQL or Kafka may find no room for their next log file: the disk is called full. */
export const leastFreeBytes = 128 * 2 ** 20;
const pollMs = 1000;
const logBytesMost = 64 * 2 ** 20;

/** Free bytes on the disk of a folder, or of the nearest one above it that exists: a start makes the others. */
export async function freeBytes(folder: string): Promise<number> {
  if (!existsSync(folder)) return freeBytes(dirname(folder));
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

export const describeFull = (bytes: number): string => `disk full: ${Math.floor(bytes / 2 ** 20)} MiB free in SLUICE_DATA_DIR`;

/** Resolves once the folder's disk is not full, or when aborted. A Kafka that starts on a full one cuts its logs down to nothing. */
export async function awaitRoom(folder: string, say: Say, signal: AbortSignal, free = freeBytes): Promise<void> {
  for (let told = false; !signal.aborted; told = true) {
    const bytes = await free(folder).catch(() => Infinity); // what cannot be asked holds nothing up
    if (bytes >= leastFreeBytes) return;
    if (!told) say(`${describeFull(bytes)}: nothing is started again until there are ${leastFreeBytes / 2 ** 20} MiB`);
    await wait(pollMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Empties what has grown too large; where there is room, what it held is kept beside it as `<name>.1`. For logs that are only appended to. */
export async function rotateLogs(folder: string, bytesMost = logBytesMost): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    const { size } = await stat(file);
    if (!name.endsWith('.log') || size <= bytesMost) continue;
    if ((await freeBytes(folder)) > size + leastFreeBytes) await copyFile(file, `${file}.1`);
    await truncate(file);
  }
}
