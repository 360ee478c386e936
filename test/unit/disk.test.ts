/** Goal: nothing is started on a full disk, and logs do not fill it. */
import assert from 'node:assert/strict';
import { appendFileSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { awaitRoom, freeBytes, leastFreeBytes, rotateLogs } from '../../src/stack/disk.ts';

const dir = mkdtempSync(join(tmpdir(), 'sluice-disk-'));
after(() => rmSync(dir, { recursive: true }));

test('free bytes are those of the nearest folder that exists', async () => {
  assert.ok((await freeBytes(join(dir, 'not', 'yet'))) > 0);
});

test('a start waits while the disk is full, and says so once', async () => {
  const free = [0, leastFreeBytes - 1, leastFreeBytes];
  const said: string[] = [];
  await awaitRoom(dir, (line) => said.push(line), new AbortController().signal, async () => free.shift()!);
  assert.deepEqual([free, said], [[], ['disk full: 0 MiB free in SLUICE_DATA_DIR: nothing is started again until there are 128 MiB']]);
});

test('a stop ends the waiting', async () => {
  const stop = new AbortController();
  const waiting = awaitRoom(dir, () => stop.abort(), stop.signal, async () => 0);
  await waiting;
});

test('a log that has grown too large is emptied under its writer, which goes on at its beginning', async () => {
  const [large, small, other] = ['large.log', 'small.log', 'large.txt'].map((name) => join(dir, name)) as [string, string, string];
  const writer = openSync(large, 'a');
  writeSync(writer, 'x'.repeat(101));
  appendFileSync(small, 'y'.repeat(100));
  writeFileSync(other, 'z'.repeat(101));
  await rotateLogs(dir, 100);
  writeSync(writer, 'next');
  closeSync(writer);
  assert.deepEqual([large, `${large}.1`, small, other].map((file) => readFileSync(file, 'utf8').length), [4, 101, 100, 101]);
  assert.ok(!existsSync(`${small}.1`));
});
