/** Goal: a long command says how far it is, without flooding a log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProgressLine } from '../../src/cli/progress-line.ts';
import { createProgress, type Progress } from '../../src/verify/progress.ts';

function aLine(isTTY: boolean) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const line = createProgressLine({ isTTY, columns: 80, write: (text: string) => written.push(text) > 0 }, () => clock.ms);
  return { line, written, clock };
}

test('elsewhere than on a terminal: one plain line every ten seconds, with an estimate', () => {
  const { line, written, clock } = aLine(false);
  for (clock.ms = 0; clock.ms <= 25_000; clock.ms += 100) line.show(clock.ms / 100_000, 'orders');
  line.clear();
  assert.deepEqual(written, ['10 %  orders, about 90 s left\n', '20 %  orders, about 80 s left\n']);
});

test('a piece of work that begins anew is estimated by its own pace', () => {
  const { line, written, clock } = aLine(false);
  for (clock.ms = 0; clock.ms < 900_000; clock.ms += 1000) line.show(clock.ms / 900_000, 'orders');
  for (; clock.ms <= 990_000; clock.ms += 1000) line.show((clock.ms - 900_000) / 180_000, 'silence');
  assert.equal(written.at(-1), '50 %  silence, about 90 s left\n');
});

test('on a terminal: a bar on one line that is written over, cut to its width, and taken away', () => {
  const { line, written, clock } = aLine(true);
  line.show(0.5, 'x'.repeat(200));
  clock.ms = 50;
  line.show(0.6, 'too soon');
  line.clear();
  assert.equal(written.length, 2);
  const clear = '\r\u001B[K';
  assert.equal(written[0], `${clear}${'█'.repeat(12)}${'░'.repeat(12)}  50 %  ${'x'.repeat(79 - 24 - 8)}`);
  assert.equal(written[1], clear);
});

test('the share is of all the work, by weight, and an estimate that was too low does not pass the whole', () => {
  const told: Progress[] = [];
  const tell = createProgress([{ name: 'a', total: 100, weight: 1 }, { name: 'b', total: 50, weight: 2 }], (progress) => told.push(progress));
  for (const [name, done] of [['a', 50], ['a', 150], ['b', 25], ['b', 50]] as const) tell(name, done);
  assert.deepEqual(told.map(({ share, total }) => [share, total]), [[0.25, 100], [0.5, 150], [0.75, 50], [1, 50]]);
});
