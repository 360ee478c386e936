/** Goal: only a consumer that stands still with work waiting is called stalled. Method: positions and log ends by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchProgress, type WatchdogOptions } from '../../src/consumers/watchdog.ts';
import { PipelineError } from '../../src/domain/errors.ts';

const stallMs = 40;
const never = Symbol('never');

/** A watchdog over one partition; `position` is asked at every look. */
const watch = (position: () => bigint, options: Partial<WatchdogOptions> = {}): Promise<string> =>
  watchProgress({
    consumer: {
      get positions() {
        return new Map([['orders-0', position()]]);
      },
    },
    admin: { offsets: async () => [{ partition: 0, low: 0n, high: 100n }] },
    topics: ['orders'],
    stallMs,
    blocked: () => false,
    signal: new AbortController().signal,
    ...options,
  });

/** What it says within a few stall times. */
async function verdict(position: () => bigint, options: Partial<WatchdogOptions> = {}): Promise<string | typeof never> {
  const stop = new AbortController();
  const watched = watch(position, { ...options, signal: stop.signal });
  const late = new Promise<typeof never>((resolve) => {
    setTimeout(() => resolve(never), 5 * stallMs);
  });
  const said = await Promise.race([watched, late]);
  stop.abort();
  await watched.catch(() => undefined);
  return said;
}

test('a position that stands still below the end of the log is named', async () => {
  assert.equal(await watch(() => 7n), 'orders-0');
});

test('a drained partition may stand still for ever', async () => {
  assert.equal(await verdict(() => 100n), never);
});

test('a slow consumer that moves at all is not stalled', async () => {
  let position = 0n;
  assert.equal(await verdict(() => (position += 1n)), never);
});

test('a consumer that waits for Redis is not stalled', async () => {
  assert.equal(await verdict(() => 7n, { blocked: () => true }), never);
});

test('nothing is called stalled while Kafka is away', async () => {
  const offsets = async (): Promise<never> => {
    throw new PipelineError('kafka_unavailable', 'away');
  };
  assert.equal(await verdict(() => 7n, { admin: { offsets } }), never);
});
