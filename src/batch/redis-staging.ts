/**
 * Staging in Redis: files in parts small enough that no command holds it up, every key with an expiry.
 * Invariant: a file is entered into the indexes before its first part is written, so `drop` finds what a dying process left.
 */
import { open, rename, rm, stat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { RedisStore } from '../adapters/redis.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Keys } from '../domain/keys.ts';
import { checkRun, lost, type Manifest, refused, runOf, type Staging } from './staging.ts';

export interface RedisStagingOptions {
  redis: RedisStore;
  keys: Keys;
  ttlMs: number;
  /** Of one set. */
  bytesMax: number;
}

const partBytes = 1024 * 1024;
/** Keys one UNLINK names. */
const unlinkMax = 500;

const partsOf = (bytes: number): number[] => Array.from({ length: Math.ceil(bytes / partBytes) }, (_, part) => part);

export function createRedisStaging({ redis, keys, ttlMs, bytesMax }: RedisStagingOptions): Staging {
  const filesOf = async (set: string): Promise<Manifest> =>
    Object.fromEntries(Object.entries(await redis.hash(keys.stagedFiles(set))).map(([name, bytes]) => [name, Number(bytes)]));

  const dropSet = async (set: string): Promise<void> => {
    const parts = Object.entries(await filesOf(set)).flatMap(([name, bytes]) => partsOf(bytes).map((part) => keys.stagedPart(set, name, part)));
    const all = [keys.stagedManifest(set), ...parts, keys.stagedFiles(set)]; // the manifest first: it is not whole any more; what names the rest last
    for (let i = 0; i < all.length; i += unlinkMax) await redis.unlink(all.slice(i, i + unlinkMax));
  };

  return {
    async put(set, name, path) {
      const run = runOf(set, name);
      const { size } = await stat(path).catch(rethrow);
      await redis.setFieldsUntil(keys.stagedSets(run), { [set]: '1' }, ttlMs);
      await redis.setFieldsUntil(keys.stagedFiles(set), { [name]: String(size) }, ttlMs);
      const total = Object.values(await filesOf(set)).reduce((sum, bytes) => sum + bytes, 0);
      if (total > bytesMax) throw full(set, total, bytesMax);
      await writeParts(path, (part, bytes) => redis.setBytes(keys.stagedPart(set, name, part), bytes, ttlMs));
      await rm(path).catch(rethrow);
    },

    async seal(set) {
      runOf(set);
      await redis.set(keys.stagedManifest(set), JSON.stringify(await filesOf(set)), ttlMs);
    },

    async fetch(set, into) {
      runOf(set);
      const [manifest] = await redis.strings([keys.stagedManifest(set)]);
      if (!manifest) throw lost(set, 'no manifest');
      await mkdir(into, { recursive: true, mode: 0o700 }).catch(rethrow);
      for (const [name, bytes] of Object.entries(JSON.parse(manifest) as Manifest)) {
        await readParts(join(into, name), bytes, (part) => redis.bytes(keys.stagedPart(set, name, part)), () => lost(set, `${name} has gaps`));
      }
    },

    async drop(runId) {
      checkRun(runId);
      for (const set of Object.keys(await redis.hash(keys.stagedSets(runId)))) await dropSet(set);
      await redis.unlink([keys.stagedSets(runId)]);
    },
  };
}

const rethrow = (error: unknown): never => {
  throw refused(error);
};

const full = (set: string, bytes: number, bytesMax: number): PipelineError =>
  new PipelineError(
    'staging_full',
    `The batch stages more than ${bytesMax} bytes in Redis (BATCH_STAGING_BYTES_MAX): raise it if Redis has the memory, or set BATCH_STAGING=directory`,
    { details: { set, bytes, bytesMax } },
  );

async function writeParts(path: string, write: (part: number, bytes: Buffer) => Promise<unknown>): Promise<void> {
  const file = await open(path, 'r').catch(rethrow);
  try {
    for (let part = 0; ; part += 1) {
      const buffer = Buffer.allocUnsafe(partBytes);
      const bytes = await readFull(file, buffer, part * partBytes);
      if (bytes > 0) await write(part, buffer.subarray(0, bytes));
      if (bytes < partBytes) return;
    }
  } finally {
    await file.close();
  }
}

async function readFull(file: Awaited<ReturnType<typeof open>>, buffer: Buffer, position: number): Promise<number> {
  let done = 0;
  while (done < buffer.length) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done).catch(rethrow);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** The file appears under its name when it is whole. */
async function readParts(path: string, size: number, read: (part: number) => Promise<Buffer | null>, gap: () => PipelineError): Promise<void> {
  const aside = `${path}.part`;
  const file = await open(aside, 'w', 0o600).catch(rethrow);
  try {
    for (const part of partsOf(size)) {
      const bytes = await read(part);
      if (bytes?.length !== Math.min(partBytes, size - part * partBytes)) throw gap();
      await file.writeFile(bytes).catch(rethrow);
    }
  } finally {
    await file.close();
  }
  await rename(aside, path).catch(rethrow);
}
