/**
 * Goal: what was staged comes back byte for byte or not at all, and nothing stays behind.
 * Method: the same cases against a real Redis, as its restricted user, and against a folder; then what is particular to each.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { Redis } from 'ioredis';
import { createBatchActivities, type BatchDeps } from '../../src/activities/batch.ts';
import { createDirectoryStaging } from '../../src/batch/directory-staging.ts';
import { createRedisStaging } from '../../src/batch/redis-staging.ts';
import type { Staging } from '../../src/batch/staging.ts';
import { type ErrorCode, PipelineError } from '../../src/domain/errors.ts';
import { createKeys } from '../../src/domain/keys.ts';
import type { BatchPublish } from '../../src/workflows/batch-contract.ts';
import { startRedis, type TestRedis } from '../redis.ts';

const prefix = '{shop}:';
const keys = createKeys(prefix);
const dir = mkdtempSync(join(tmpdir(), 'sluice-staging-'));
const ttlMs = 3_600_000;
let redis: TestRedis;
before(async () => {
  redis = await startRedis(prefix);
});
after(async () => {
  await redis.stop();
  rmSync(dir, { recursive: true, force: true });
});

const isCode = (code: ErrorCode) => (error: unknown) => error instanceof PipelineError && error.code === code;

let files = 0;
/** A local file with these bytes. */
function fileOf(bytes: Buffer): string {
  const path = join(dir, `file-${files++}`);
  writeFileSync(path, bytes);
  return path;
}
const folder = (): string => join(dir, `into-${files++}`);

async function stagedKeys(): Promise<string[]> {
  const found: string[] = [];
  for await (const page of redis.admin.scan('*')) found.push(...page);
  return found.toSorted();
}

const inRedis = (bytesMax = 2 ** 30): Staging => createRedisStaging({ redis: redis.store, keys, ttlMs, bytesMax });
const folderDir = join(dir, 'shared');
const inFolder = (): Staging => createDirectoryStaging({ dir: folderDir, ttlMs });
const setDir = join(folderDir, 'sluice-staging');

const kinds: { name: string; open: () => Staging; losePart: (set: string, file: string) => Promise<unknown>; left: () => Promise<string[]> }[] = [
  { name: 'Redis', open: inRedis, losePart: (set, file) => redis.admin.delete([keys.stagedPart(set, file, 1)]), left: stagedKeys },
  {
    name: 'a folder',
    open: inFolder,
    losePart: async (set, file) => truncateSync(join(setDir, set, file), 1024 * 1024),
    left: async () => (existsSync(setDir) ? readdirSync(setDir) : []),
  },
];

for (const { name, open, losePart, left } of kinds) {
  suite(`staging in ${name}`, () => {
    const set = 'run-1/1/raw';
    const contents: Record<string, Buffer> = {
      'orders-00000.parquet': randomBytes(2.5 * 1024 * 1024),
      'orders-00001.parquet': Buffer.alloc(1024 * 1024, 0),
      'customers-00000.parquet': Buffer.from('\r\n\0ÿ"', 'latin1'),
      'products-00000.parquet': Buffer.alloc(0),
    };
    const stage = async (): Promise<Staging> => {
      const staging = open();
      for (const [file, bytes] of Object.entries(contents)) {
        const path = fileOf(bytes);
        await staging.put(set, file, path);
        assert.ok(!existsSync(path));
      }
      return staging;
    };

    test('a sealed set comes back byte for byte, as often as it is asked for; a drop leaves nothing', async () => {
      const staging = await stage();
      await staging.seal(set);
      for (const into of [folder(), folder()]) {
        await staging.fetch(set, into);
        assert.deepEqual(readdirSync(into).toSorted(), Object.keys(contents).toSorted());
        for (const [file, bytes] of Object.entries(contents)) assert.ok(readFileSync(join(into, file)).equals(bytes), file);
      }
      await staging.drop('run-1');
      await staging.drop('run-1');
      assert.deepEqual(await left(), []);
      await assert.rejects(staging.fetch(set, folder()), isCode('staging_lost'));
    });

    test('a set that was not sealed, or lost a part, is lost', async () => {
      const staging = await stage();
      await assert.rejects(staging.fetch(set, folder()), isCode('staging_lost'));
      await staging.seal(set);
      await losePart(set, 'orders-00000.parquet');
      await assert.rejects(staging.fetch(set, folder()), isCode('staging_lost'));
      await staging.drop('run-1');
      assert.deepEqual(await left(), []);
    });

    test('a drop takes every set of its run, sealed or not, and no other run', async () => {
      const staging = open();
      for (const one of ['run-1/1/raw', 'run-1/2/raw', 'run-1/2/facts', 'run-10/1/raw']) await staging.put(one, 'orders-00000.parquet', fileOf(randomBytes(10)));
      await staging.seal('run-10/1/raw');
      await staging.drop('run-1');
      await staging.fetch('run-10/1/raw', folder());
      await staging.drop('run-10');
      assert.deepEqual(await left(), []);
    });

    test('names that lead elsewhere are refused', async () => {
      const staging = open();
      for (const bad of ['run', '../x/1/raw', 'run/../raw', 'run/1/raw/deep']) await assert.rejects(staging.put(bad, 'orders-00000.parquet', 'x'), isCode('bad_argument'), bad);
      await assert.rejects(staging.put(set, '../orders.parquet', 'x'), isCode('bad_argument'));
      await assert.rejects(staging.drop('..'), isCode('bad_argument'));
    });

    test('a file that is not there is an error of the file system, told without its rows', async () => {
      await assert.rejects(open().put(set, 'orders-00000.parquet', join(dir, 'nowhere')), isCode('staging_refused'));
      await open().drop('run-1');
    });
  });
}

test('in Redis every key expires, also of a set that was never sealed', async () => {
  const staging = inRedis();
  await staging.put('run-1/1/raw', 'orders-00000.parquet', fileOf(randomBytes(1_500_000)));
  await staging.put('run-1/2/raw', 'orders-00000.parquet', fileOf(randomBytes(10)));
  await staging.seal('run-1/2/raw');
  const staged = await stagedKeys();
  assert.equal(staged.length, 7);
  const admin = new Redis({ port: redis.port, password: redis.password.reveal() });
  const left = await Promise.all(staged.map((key) => admin.pttl(key)));
  admin.disconnect();
  assert.ok(left.every((ms) => ms > ttlMs - 60_000 && ms <= ttlMs), String(left));
  await staging.drop('run-1');
});

test('in Redis a set has a limit, which names the setting and the way out; another set has its own', async () => {
  const staging = inRedis(1000);
  await staging.put('run-1/1/raw', 'orders-00000.parquet', fileOf(randomBytes(600)));
  await staging.put('run-1/1/raw', 'orders-00000.parquet', fileOf(randomBytes(600)));
  await staging.put('run-1/2/raw', 'orders-00000.parquet', fileOf(randomBytes(600)));
  await assert.rejects(
    staging.put('run-1/1/raw', 'orders-00001.parquet', fileOf(randomBytes(600))),
    (error) => isCode('staging_full')(error) && /BATCH_STAGING_BYTES_MAX.*BATCH_STAGING=directory/.test((error as Error).message),
  );
  await staging.drop('run-1');
  assert.deepEqual(await stagedKeys(), []);
});

test('of a run that failed nothing stays staged, whatever it was for: what blocks one blocks those that follow', async () => {
  const staging = inRedis();
  const { recordFailure } = createBatchActivities({ redis: redis.store, keys, staging } as BatchDeps);
  for (const publish of ['latest', 'window', 'none'] as BatchPublish[]) {
    const runId = `run-${publish}`;
    await staging.put(`${runId}/1-1/source`, 'orders-00000.parquet', fileOf(randomBytes(10)));
    const window = { start: '2026-11-01T00:00:00Z', end: '2026-11-02T00:00:00Z' };
    await recordFailure({ runId, window, publish, startedMs: 0, rows: null, quality: null, durations: {} }, { verdict: 'block', why: 'orphans' }, false);
    assert.ok(!(await stagedKeys()).some((key) => key.startsWith(keys.stagedSets(runId))), publish);
  }
});

test('in a folder files are private, and runs that nobody dropped go when they are older than the limit', async () => {
  const staging = inFolder();
  for (const run of ['old', 'young', 'done']) await staging.put(`${run}/1/raw`, 'orders-00000.parquet', fileOf(randomBytes(10)));
  assert.equal(statSync(join(setDir, 'old/1/raw')).mode & 0o777, 0o700);
  mkdirSync(join(folderDir, 'of-somebody-else'), { recursive: true });
  const past = new Date(Date.now() - 2 * ttlMs);
  for (const path of [folderDir, join(folderDir, 'of-somebody-else'), ...['old', 'old/1', 'old/1/raw', 'old/1/raw/orders-00000.parquet'].map((part) => join(setDir, part))]) utimesSync(path, past, past);
  await staging.drop('done');
  assert.deepEqual(readdirSync(setDir), ['young']);
  assert.ok(existsSync(join(folderDir, 'of-somebody-else')));
  await staging.drop('young');
});
