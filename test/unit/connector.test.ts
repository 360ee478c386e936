/** Goal: the connector that is registered is complete, holds no password, and is explained key by key. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadSettings } from '../../src/config.ts';
import { connectorConfig } from '../../src/stack/connector.ts';
import { fillTemplate, javaProperty } from '../../src/stack/template.ts';

const settings = loadSettings({ POSTGRES_PORT: '5555', POSTGRES_DB: 'shop', TOPIC_PREFIX: 'eu', HEARTBEAT_INTERVAL_MS: '700' }, '/nonexistent');

test('the settings reach the connector and the password stays a reference', () => {
  const config = connectorConfig(settings);
  assert.equal(config['database.port'], '5555');
  assert.equal(config['database.dbname'], 'shop');
  assert.equal(config['topic.prefix'], 'eu');
  assert.equal(config['heartbeat.interval.ms'], '700');
  assert.equal(config['database.password'], '${env:SLUICE_REPLICATION_PASSWORD}');
});

test('the connector reaches the source where we do, or where it is told', () => {
  const hostOf = (env: Record<string, string>) => connectorConfig(loadSettings(env, '/nonexistent'))['database.hostname'];
  assert.deepEqual([hostOf({}), hostOf({ POSTGRES_HOST: 'db' }), hostOf({ POSTGRES_HOST: 'db', CONNECT_POSTGRES_HOST: 'inside' })], ['127.0.0.1', 'db', 'inside']);
});

test('debezium/README.md explains every key of the connector and no other', () => {
  const rows = readFileSync('debezium/README.md', 'utf8').split('\n').filter((line) => line.startsWith('| `'));
  const explained = rows.flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, key]) => key));
  assert.equal(explained.length, new Set(explained).size);
  assert.deepEqual(new Set(explained), new Set(Object.keys(connectorConfig(settings))));
});

test('a value is written as Java reads properties', () => {
  assert.equal(javaProperty('/srv/müll – 倉\\a'), '/srv/m\\u00fcll \\u2013 \\u5009\\\\a');
});

test('a template with an unknown placeholder is refused', () => {
  assert.equal(fillTemplate('a=${A_B} b=${env:A_B}', { A_B: 1 }), 'a=1 b=${env:A_B}');
  assert.throws(() => fillTemplate('a=${A_C}', { A_B: 1 }), /A_C/);
});
