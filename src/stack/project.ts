/** Where things are, and how much room there is. Every path inside the project and inside the data folder is made here. */
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout; the same from src/ and from dist/. */
export const projectRoot = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
export const inProject = (...parts: string[]): string => join(projectRoot, ...parts);

/** The data folder's insides. Nothing else is ever created there, and reset removes exactly these. */
export function layoutOf(dataDir: string) {
  const inside = (name: string): string => resolve(dataDir, name);
  return {
    root: resolve(dataDir),
    postgres: inside('postgres'),
    kafka: inside('kafka'),
    redis: inside('redis'),
    temporal: inside('temporal'),
    logs: inside('logs'),
    run: inside('run'),
    staging: inside('staging'),
    /** One folder per worker process: what a step of the batch works in. */
    scratch: inside('scratch'),
    stateFile: inside('run/stack.json'),
    logOf: (process: string) => inside(`logs/${process}.log`),
  };
}

/** Free bytes on the disk of a folder, or of the nearest one above it that exists: a start makes the others. */
export async function freeBytes(folder: string): Promise<number> {
  if (!existsSync(folder)) return freeBytes(dirname(folder));
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
