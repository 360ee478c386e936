/**
 * Staging in a folder that every worker sees. Files are readable by their owner only: they hold personal data.
 * Invariant: a file appears under its name by rename, so it is whole or not there.
 */
import { constants } from 'node:fs';
import { copyFile, link, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkRun, lost, type Manifest, refused, runOf, type Staging } from './staging.ts';

export interface DirectoryStagingOptions {
  dir: string;
  /** Runs to which nothing was added for this long go with the next one that is dropped. */
  ttlMs: number;
}

const manifestName = 'manifest.json';

export function createDirectoryStaging({ dir, ttlMs }: DirectoryStagingOptions): Staging {
  const root = join(dir, 'sluice-staging'); // the folder may hold other things, which are never ours to remove
  const placeOf = (set: string): string => join(root, set);

  const staging: Staging = {
    async put(set, name, path) {
      runOf(set, name);
      await mkdir(placeOf(set), { recursive: true, mode: 0o700 });
      await move(path, join(placeOf(set), name));
    },

    async seal(set) {
      runOf(set);
      await mkdir(placeOf(set), { recursive: true, mode: 0o700 });
      const manifest = join(placeOf(set), manifestName);
      await writeFile(`${manifest}.part`, JSON.stringify(await sizesOf(placeOf(set))), { mode: 0o600 });
      await rename(`${manifest}.part`, manifest);
    },

    async fetch(set, into) {
      runOf(set);
      const manifest = await ifThere(readFile(join(placeOf(set), manifestName), 'utf8'));
      if (manifest === null) throw lost(set, 'no manifest');
      await mkdir(into, { recursive: true, mode: 0o700 });
      for (const [name, bytes] of Object.entries(JSON.parse(manifest) as Manifest)) {
        const found = await ifThere(stat(join(placeOf(set), name)));
        if (found?.size !== bytes) throw lost(set, found ? `${name} has another size` : `${name} is gone`);
        await bring(join(placeOf(set), name), join(into, name));
      }
    },

    async drop(runId) {
      checkRun(runId);
      await rm(join(root, runId), { recursive: true, force: true });
      await sweep(root, Date.now() - ttlMs);
    },
  };
  return translated(staging);
}

/** Removes the runs to which nothing was added since `beforeMs`: their process died and nobody asked for them again. */
async function sweep(root: string, beforeMs: number): Promise<void> {
  for (const run of (await ifThere(readdir(root))) ?? []) {
    const attempts = (await ifThere(readdir(join(root, run), { recursive: true }))) ?? [];
    const times = await Promise.all(['.', ...attempts].map(async (path) => (await ifThere(stat(join(root, run, path))))?.mtimeMs ?? 0));
    if (Math.max(...times) < beforeMs) await rm(join(root, run), { recursive: true, force: true });
  }
}

async function sizesOf(place: string): Promise<Manifest> {
  const names = (await readdir(place)).filter((name) => name.endsWith('.parquet'));
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, (await stat(join(place, name))).size] as const)));
}

async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    await copyFile(from, `${to}.part`);
    await rename(`${to}.part`, to);
    await rm(from);
  }
}

/** A second name for the file where that is possible: dropping the set does not take it away. */
async function bring(from: string, to: string): Promise<void> {
  await rm(to, { force: true });
  try {
    await link(from, to);
  } catch (error) {
    if (!['EXDEV', 'EPERM', 'ENOTSUP', 'EMLINK'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await copyFile(from, `${to}.part`, constants.COPYFILE_FICLONE);
    await rename(`${to}.part`, to);
  }
}

async function ifThere<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function translated(staging: Staging): Staging {
  const guard =
    <A extends unknown[]>(act: (...args: A) => Promise<void>) =>
    (...args: A): Promise<void> =>
      act(...args).catch((error: unknown) => {
        throw refused(error);
      });
  return { put: guard(staging.put), seal: guard(staging.seal), fetch: guard(staging.fetch), drop: guard(staging.drop) };
}
