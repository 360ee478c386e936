/** Goal: nobody is told what was looked at before he asked, and many questions are one. Method: a work that ends when the test says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { freshRuns } from '../../src/consumers/cdc/fresh-runs.ts';

test('a call waits for a run that began after it, and shares it with all who wait', async () => {
  const ends: (() => void)[] = [];
  const ask = freshRuns(0, () => new Promise((resolve) => ends.push(resolve)));
  let told = 0;
  const first = ask();
  await turn();
  const later = [ask(), ask()].map((call) => call.then(() => (told += 1)));
  ends[0]!();
  await first;
  assert.equal(told, 0);
  while (ends.length < 2) await turn();
  ends[1]!();
  await Promise.all(later);
  assert.equal(ends.length, 2);
});

test('runs keep their distance', async () => {
  const begunMs: number[] = [];
  const ask = freshRuns(30, async () => void begunMs.push(performance.now()));
  await ask();
  await ask();
  assert.ok(begunMs[1]! - begunMs[0]! >= 29);
});

test('a run that fails is told to those who waited for it, and to nobody after them', async () => {
  let runs = 0;
  const ask = freshRuns(0, async () => {
    runs += 1;
    if (runs === 1) throw new Error('away');
  });
  await assert.rejects(Promise.all([ask(), ask()]), /away/);
  await ask();
  assert.equal(runs, 2);
});
