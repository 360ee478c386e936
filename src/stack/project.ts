/** Where things are. Every path inside the project and inside the data folder is made here. */
import { join, resolve } from 'node:path';
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
