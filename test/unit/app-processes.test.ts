/** Goal: as many consumers as the setting says, each one program with a name of its own in the group. Method: specs, not processes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSettings } from '../../src/config.ts';
import { appProcess } from '../../src/stack/app-processes.ts';
import { consumerNames } from '../../src/stack/state-file.ts';
import { expectedProcesses } from '../../src/stack/status.ts';

test('the consumers are numbered from the second on, and stand beside the other processes', () => {
  assert.deepEqual(consumerNames(3), ['cdc-consumer', 'cdc-consumer-2', 'cdc-consumer-3']);
  const expected = expectedProcesses(loadSettings({ SLUICE_CDC_CONSUMERS: '3', SLUICE_GENERATOR: 'off' }, '/nonexistent'));
  assert.deepEqual(expected, ['postgres', 'kafka', 'connect', 'redis', 'temporal', 'cdc-consumer', 'cdc-consumer-2', 'cdc-consumer-3', 'stream-consumer', 'alerts-consumer', 'worker']);
  assert.ok(!expectedProcesses(loadSettings({ SLUICE_STREAM: 'off' }, '/nonexistent')).includes('stream-consumer'));
  assert.deepEqual(expectedProcesses(loadSettings({ POSTGRES_HOST: 'db', REDIS_HOST: 'cache' }, '/nonexistent')).slice(0, 4), ['kafka', 'connect', 'temporal', 'cdc-consumer']);
});

test('a consumer is told its own name, whatever this shell has set', async () => {
  const settings = loadSettings({ KAFKA_INSTANCE_ID: 'of-this-shell' }, '/nonexistent');
  const second = await appProcess('cdc-consumer-2', settings).command(new AbortController().signal);
  assert.match(second.args.at(-1)!, /\/cdc-consumer\.js$/);
  assert.equal(second.env['KAFKA_INSTANCE_ID'], 'cdc-consumer-2');
  const alerts = await appProcess('alerts-consumer', settings).command(new AbortController().signal);
  assert.match(alerts.args.at(-1)!, /\/alerts-consumer\.js$/);
  assert.equal(alerts.env['KAFKA_INSTANCE_ID'], 'alerts-consumer');
});
