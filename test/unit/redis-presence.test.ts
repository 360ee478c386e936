/** Goal: a Redis that is connected and silent counts as away. Method: a ping that is answered when the test says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RedisPresence } from '../../src/consumers/redis-presence.ts';
import { createLogger } from '../../src/telemetry/logger.ts';

test('a server that keeps the connection and gives no answer is away until it answers', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const presence = new RedisPresence(createLogger('test', 'silent'));
  presence.connection('up');
  let answer = (): void => undefined;
  const stop = new AbortController();
  const watched = presence.watch({ ping: () => new Promise((resolve) => (answer = () => resolve('PONG'))) }, stop.signal);
  assert.equal(presence.away, false);
  t.mock.timers.tick(3000);
  assert.equal(presence.away, true);
  stop.abort();
  answer();
  await watched;
  assert.equal(presence.away, false);
});

test('a new connection after a lost one tells that Redis is back; the first one does not', () => {
  const presence = new RedisPresence(createLogger('test', 'silent'));
  let told = 0;
  presence.events.addEventListener('back', () => (told += 1));
  presence.connection('up');
  presence.connection('down');
  assert.deepEqual([presence.away, told], [true, 0]);
  presence.connection('up');
  assert.deepEqual([presence.away, told], [false, 1]);
});
