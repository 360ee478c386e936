/** Goal: an event that is too large is told with table, size and the setting to raise, for as long as the connector stops at it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeOversized, findOversizedEvent, readTail } from '../../src/stack/oversized-event.ts';

const started = '[t] INFO ExactlyOnceWorkerSourceTask{id=sluice-0} Source task finished initialization and start (AbstractWorkerSourceTask)\n';
const reason = 'org.apache.kafka.common.errors.RecordTooLargeException: The message is 20000956 bytes when serialized which is larger than 16777216, which is the value of the max.request.size configuration.\n';
const refused = (topic: string): string => `[t] ERROR ExactlyOnceWorkerSourceTask{id=sluice-0} failed to send record to ${topic}:  (AbstractWorkerSourceTask)\n${reason}`;

test('the log of the task names topic, size and limit; the first refusal counts, what follows it is innocent', () => {
  const log = `${started}[t] INFO something\n${refused('ecommerce.public.orders')}${refused('__debezium-heartbeat.ecommerce')}`;
  assert.deepEqual(findOversizedEvent(log, []), { topic: 'ecommerce.public.orders', bytes: 20_000_956, bytesMax: 16_777_216 });
  assert.deepEqual(findOversizedEvent(refused('ecommerce.public.orders'), [])?.topic, 'ecommerce.public.orders', 'a log that is cut before the start');
});

test('a refusal before the last start of the task is over, other failures are none of ours', () => {
  assert.equal(findOversizedEvent(`${started}${refused('ecommerce.public.orders')}${started}`, []), null);
  assert.equal(findOversizedEvent('', ['java.lang.IllegalStateException: something else']), null);
});

test('without the log the trace of the failed task still tells the size', () => {
  const trace = `org.apache.kafka.connect.errors.ConnectException: Unrecoverable exception trying to send\n\tat x\nCaused by: ${reason}`;
  assert.deepEqual(findOversizedEvent('', [trace]), { topic: null, bytes: 20_000_956, bytesMax: 16_777_216 });
});

test('a person is told a value that suffices for an update, or that there is none', () => {
  const told = describeOversized({ topic: 'ecommerce.public.orders', bytes: 20_000_956, bytesMax: 16_777_216 });
  assert.match(told, /change of orders is 20000956 bytes, the limit EVENT_BYTES_MAX is 16777216: start again with EVENT_BYTES_MAX=40894464/);
  assert.match(describeOversized({ topic: null, bytes: 100_000_000, bytesMax: 1 }), /EVENT_BYTES_MAX=134217728/);
  assert.match(describeOversized({ topic: null, bytes: 200_000_000, bytesMax: 1 }), /no setting allows more than 134217728/);
});

test('only the end of a log is read, and a missing one is empty', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-log-'));
  try {
    writeFileSync(join(dir, 'log'), `${'x'.repeat(3_000_000)}\nend`);
    assert.equal(readTail(join(dir, 'log')).length, 1024 * 1024);
    assert.ok(readTail(join(dir, 'log')).endsWith('\nend'));
    assert.equal(readTail(join(dir, 'none')), '');
  } finally {
    rmSync(dir, { recursive: true });
  }
});
