/** Goal: each judgement of the doctor: sound facts are ok, a broken one is told at its level with the exact fix. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { judge, judgeClock, type Check, type Finding, type Moment } from '../../src/doctor/check.ts';
import { connectChecks, pluginTried, type ConnectFacts } from '../../src/doctor/connect-checks.ts';
import { kafkaChecks, type KafkaFacts } from '../../src/doctor/kafka-checks.ts';
import { machineChecks, type MachineFacts } from '../../src/doctor/machine-checks.ts';
import { postgresChecks, type PostgresFacts } from '../../src/doctor/postgres-checks.ts';
import { redisChecks, type RedisFacts } from '../../src/doctor/redis-checks.ts';
import { temporalChecks, type TemporalFacts } from '../../src/doctor/temporal-checks.ts';

const mebi = 1024 * 1024;

/** What is not ok, as `<check> <level>`, and the fixes. */
function told<Facts>(checks: readonly Check<Facts>[], facts: Facts, moment: Moment = 'now'): { levels: string[]; fixes: string } {
  const findings: Finding[] = judge('machine', checks, facts, moment).filter(({ level }) => level !== 'ok');
  for (const { fix, check } of findings) assert.ok(fix, `${check} has a fix`);
  return { levels: findings.map(({ check, level }) => `${check} ${level}`), fixes: findings.map(({ fix }) => fix).join('\n') };
}

/** Sound facts with some changed: what is told of them. */
const examiner = <Facts>(checks: readonly Check<Facts>[], sound: Facts) => {
  assert.deepEqual(told(checks, sound).levels, []);
  return (changed: Partial<Facts>, moment?: Moment) => told(checks, { ...sound, ...changed }, moment);
};

const tables = ['public.customers', 'public.products', 'public.orders', 'public.order_items'];
const postgres = examiner<PostgresFacts>(postgresChecks, {
  version: 170_010,
  walLevel: 'logical',
  inRecovery: false,
  published: [...tables, 'cdc.heartbeat', 'cdc.signal'],
  unpublished: [],
  identities: Object.fromEntries(tables.map((table) => [table, 'f'])),
  missingGrants: [],
  slot: { active: true, walStatus: 'reserved', retainedBytes: 100 * mebi },
  slots: { used: 1, max: 10 },
  senders: { used: 1, max: 10 },
  slotKeepMb: 4096,
  clockAheadMs: -20,
  slotKeepWantedMb: 4096,
});

test('PostgreSQL: settings of the server', () => {
  assert.deepEqual(postgres({ walLevel: 'replica' }), { levels: ['wal_level problem'], fixes: "ALTER SYSTEM SET wal_level = 'logical'; then restart PostgreSQL (a managed service: its parameter group)" });
  assert.deepEqual(postgres({ version: 120_000 }).levels, ['version problem']);
  assert.deepEqual(postgres({ inRecovery: true }).levels, ['primary problem']);
  assert.deepEqual(postgres({ slotKeepMb: -1 }).levels, ['max_slot_wal_keep_size warning']);
  assert.match(postgres({ slotKeepMb: -1 }).fixes, /max_slot_wal_keep_size = '4096MB'; SELECT pg_reload_conf\(\);/);
  const full = { slots: { used: 4, max: 4 }, senders: { used: 4, max: 4 } };
  assert.deepEqual(postgres(full).levels, [], 'what is in use by us needs no other');
  assert.deepEqual(postgres({ ...full, slot: null }, 'before').levels, ['max_replication_slots problem', 'max_wal_senders problem']);
  assert.match(postgres({ ...full, slot: null }, 'before').fixes, /max_replication_slots = '6'/);
});

test('PostgreSQL: publication, identity, grants, only once a start has made them', () => {
  const nothing = { published: null, identities: {}, missingGrants: ['GRANT x TO y;'], slot: null };
  assert.deepEqual(postgres(nothing, 'before').levels, []);
  assert.deepEqual(postgres(nothing).levels, ['publication problem', 'replica identity problem', 'grants problem', 'slot problem']);
  assert.match(postgres(nothing).fixes, /CREATE PUBLICATION sluice FOR TABLE public.customers, .*cdc.signal.*\n.*ALTER TABLE public.order_items REPLICA IDENTITY FULL;\nGRANT x TO y;/);
  assert.match(postgres({ published: tables }).fixes, /ALTER PUBLICATION sluice ADD TABLE cdc.heartbeat, cdc.signal;/);
  assert.match(postgres({ unpublished: ['truncate'] }).fixes, /SET \(publish = 'insert, update, delete, truncate'\)/);
});

test('PostgreSQL: a slot that is lost, about to be, idle, or far behind', () => {
  const slot = (given: Partial<NonNullable<PostgresFacts['slot']>>) => postgres({ slot: { active: true, walStatus: 'reserved', retainedBytes: 0, ...given } });
  assert.match(slot({ walStatus: 'lost' }).fixes, /resync --all/);
  assert.match(slot({ walStatus: 'unreserved', retainedBytes: 5000 * mebi }).fixes, /max_slot_wal_keep_size = '10000MB'/);
  assert.match(slot({ active: false }).fixes, /connector restart/);
  assert.deepEqual(slot({ retainedBytes: 3000 * mebi }).levels, ['slot warning']);
});

const info = { redis_version: '7.2.4', maxmemory_policy: 'noeviction', maxmemory: '0', used_memory: '1000', aof_enabled: '1', aof_last_write_status: 'ok', role: 'master', redis_mode: 'standalone' };
const redis = examiner<RedisFacts>(redisChecks, { info, denied: [], allow: 'ACL SETUSER …', clustered: false, hasPrefix: false, clockAheadMs: 0 });

test('Redis: each setting that would lose or refuse something', () => {
  const of = (changed: Record<string, string>) => redis({ info: { ...info, ...changed } });
  assert.deepEqual(of({ maxmemory_policy: 'allkeys-lru' }), { levels: ['maxmemory-policy problem'], fixes: 'CONFIG SET maxmemory-policy noeviction, then CONFIG REWRITE (a managed service: its parameter group)' });
  assert.deepEqual(of({ redis_version: '6.2.1' }).levels, ['version problem']);
  assert.deepEqual(of({ aof_enabled: '0' }).levels, ['append-only file warning']);
  assert.deepEqual(of({ aof_last_write_status: 'err' }).levels, ['append-only file problem']);
  assert.deepEqual(of({ maxmemory: '1100' }).levels, ['memory warning']);
  assert.deepEqual(of({ role: 'slave' }).levels, ['role problem']);
  assert.match(of({ redis_mode: 'cluster' }).fixes, /REDIS_CLUSTER=on/);
  assert.match(redis({ clustered: true }).fixes, /REDIS_CLUSTER=off/);
  assert.deepEqual(redis({ denied: ['hset a b'] }), { levels: ['access list problem'], fixes: 'ACL SETUSER …' });
});

const topic = { topic: 'a', partitions: 4, config: { 'retention.ms': '1000', 'max.message.bytes': '100' } };
const found = { topic: 'a', partitions: 4, replicas: 3, leaderless: 0, config: { 'cleanup.policy': 'delete', 'retention.ms': '1000', 'max.message.bytes': '100', 'min.insync.replicas': '2' } };
const kafka = examiner<KafkaFacts>(kafkaChecks, { brokers: 3, bootstrap: 'b:9092', wanted: [topic], found: [found] });

test('Kafka: each setting of a topic, with the command that mends it', () => {
  const of = (config: Record<string, string>) => kafka({ found: [{ ...found, config: { ...found.config, ...config } }] });
  const command = 'kafka-configs.sh --bootstrap-server b:9092 --alter --entity-type topics --entity-name a --add-config';
  assert.deepEqual(of({ 'cleanup.policy': 'compact' }), { levels: ['cleanup.policy problem'], fixes: `${command} cleanup.policy=delete` });
  assert.deepEqual(of({ 'retention.ms': '999' }), { levels: ['retention.ms warning'], fixes: `${command} retention.ms=1000` });
  assert.deepEqual(of({ 'retention.ms': '-1' }).levels, []);
  assert.deepEqual(of({ 'max.message.bytes': '99' }), { levels: ['max.message.bytes problem'], fixes: `${command} max.message.bytes=100` });
  assert.deepEqual(of({ 'min.insync.replicas': '4' }).levels, ['replicas problem']);
  assert.deepEqual(kafka({ found: [{ ...found, replicas: 1, config: { ...found.config, 'min.insync.replicas': '1' } }] }).levels, ['replicas warning']);
  assert.match(kafka({ found: [{ ...found, partitions: 3 }] }).fixes, /TOPIC_PARTITIONS/);
  assert.deepEqual(kafka({ found: [] }).levels, ['topics problem']);
  assert.deepEqual(kafka({ found: [] }, 'before').levels, []);
  assert.deepEqual(kafka({ found: [{ ...found, leaderless: 1 }] }).levels, ['topics problem']);
});

const connect = examiner<ConnectFacts>(connectChecks, { version: '4.3.1', cluster: { its: 'k', ours: 'k' }, plugin: pluginTried, errors: {}, connector: { state: 'RUNNING', tasks: ['RUNNING'] } });

test('Kafka Connect: plugin, cluster, exactly-once, configuration, connector', () => {
  assert.ok(readFileSync('stack/pom.xml', 'utf8').includes(`>${pluginTried}<`), 'the version that is installed here is the one that was tried');
  assert.deepEqual(connect({ plugin: null }).levels, ['plugin problem']);
  assert.deepEqual(connect({ plugin: '3.0.0.Final' }).levels, ['plugin warning']);
  assert.match(connect({ cluster: { its: 'k', ours: 'other' } }).fixes, /KAFKA_BROKER/);
  assert.match(connect({ errors: { 'exactly.once.support': ['no'] } }).fixes, /exactly.once.source.support=enabled/);
  assert.deepEqual(connect({ errors: { 'database.hostname': ['refused'] } }).levels, ['configuration problem']);
  assert.deepEqual(connect({ errors: { 'database.hostname': ['refused'] }, connector: null }, 'before').levels, []);
  assert.deepEqual(connect({ connector: null }).fixes, 'npx sluice connector apply');
  assert.deepEqual(connect({ connector: { state: 'RUNNING', tasks: ['FAILED'] } }).levels, ['connector problem']);
  assert.deepEqual(connect({ connector: { state: 'UNASSIGNED', tasks: [] } }).levels, ['connector warning']);
});

const hourMs = 3_600_000;
const temporal = examiner<TemporalFacts>(temporalChecks, { version: '1.32', address: 't:7233', namespace: 'shop', retentionMs: 24 * hourMs, searchAttributes: { AlertType: 'Keyword' }, wantedAttributes: { AlertType: 'Keyword' }, alertAgeMsMax: 6 * hourMs });

test('Temporal: namespace, retention, search attributes', () => {
  assert.match(temporal({ retentionMs: null }).fixes, /^temporal operator namespace create --address t:7233 --namespace shop --retention 72h/);
  assert.deepEqual(temporal({ retentionMs: 6 * hourMs }).levels, ['retention problem']);
  assert.match(temporal({ retentionMs: 6 * hourMs }).fixes, /namespace update .* --retention 30h/);
  assert.equal(temporal({ searchAttributes: {} }).fixes, 'temporal operator search-attribute create --address t:7233 --namespace shop --name AlertType --type Keyword');
  assert.match(temporal({ searchAttributes: { AlertType: 'Text' } }).fixes, /search-attribute remove --name AlertType/);
  assert.deepEqual(temporal({ searchAttributes: null }).levels, ['search attributes warning']);
});

const free = (bytes: number): MachineFacts['free'] => [{ setting: 'SLUICE_DATA_DIR', folder: '/data', bytes }];
const machine = examiner<MachineFacts>(machineChecks, { free: free(10_000 * mebi), listed: [{ setting: 'SLUICE_DATA_DIR', folder: '/é b:c', separators: [','] }], tools: { java: { program: 'java', major: 17 }, maven: true, python: 'there' }, walKeepMb: 4096 });

test('this machine: tools with the package that brings them, folders and space', () => {
  assert.deepEqual(machine({ tools: { java: { program: 'java', major: null }, maven: false, python: null } }), {
    levels: ['Java problem', 'Maven problem', 'Python problem'],
    fixes: 'apt install openjdk-17-jre-headless\napt install maven\napt install python3 python3-venv',
  });
  assert.deepEqual(machine({ tools: { java: { program: 'java', major: 11 }, python: 'no venv' } }).levels, ['Java problem', 'Python problem']);
  assert.deepEqual(machine({ tools: {} }).levels, []);
  assert.deepEqual(machine({ listed: [{ setting: 'SLUICE_DATA_DIR', folder: '/a,b', separators: [','] }, { setting: 'SLUICE_TOOLS_DIR', folder: '/a:b', separators: [',', ':'] }] }), {
    levels: ['folders problem'],
    fixes: 'Set SLUICE_DATA_DIR and SLUICE_TOOLS_DIR to a path without comma and colon.',
  });
  assert.deepEqual(machine({ free: free(500 * mebi) }).levels, ['disk problem']);
  assert.deepEqual(machine({ free: free(2000 * mebi) }).levels, ['disk warning']);
  assert.deepEqual(machine({ free: free(2000 * mebi), walKeepMb: 0 }).levels, []);
});

test('clocks that are apart are told by how far', () => {
  assert.deepEqual([100, -1999, 2000, -29_000, 30_000].map((ms) => judgeClock(ms).level), ['ok', 'ok', 'warning', 'warning', 'problem']);
  assert.match(judgeClock(-5000).says, /5.0 s behind/);
});
