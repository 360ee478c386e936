/**
 * Goal: servers that want TLS, passwords and keys are reached with them, and nobody else's certificate is taken for theirs.
 * Method: real servers with certificates of the test's own authority, made out to `localhost`. Redis and Temporal, as they are
 * fetched, have no TLS: a proxy ends it in front of them.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { access } from '../../src/access.ts';
import { createKafkaAdmin } from '../../src/adapters/kafka-admin.ts';
import { createKafkaProducer } from '../../src/adapters/kafka-producer.ts';
import { connectPostgres, type Database } from '../../src/adapters/postgres.ts';
import { connectRedis } from '../../src/adapters/redis.ts';
import { describeTemporal } from '../../src/adapters/temporal-description.ts';
import { connectionOptions } from '../../src/adapters/temporal.ts';
import { loadSettings, type Settings } from '../../src/config.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { connectServer } from '../../src/stack/connect.ts';
import { findFreePort } from '../../src/stack/ports.ts';
import { placePostgres, removeReadablePlace } from '../../src/stack/postgres-files.ts';
import { settleSecrets } from '../../src/stack/secrets.ts';
import { makeCertificates, type Certificates } from '../certificates.ts';
import { startTlsKafka, type TlsKafka } from '../kafka-tls.ts';
import { startPostgres, type TestPostgres } from '../postgres.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { until } from '../stack.ts';
import { startTemporal, type TestTemporal } from '../temporal.ts';
import { startGrpcProxy, startTlsProxy, type GrpcProxy, type TlsProxy } from '../tls-proxy.ts';

let certificates: Certificates;
let strangers: Certificates;
let postgres: TestPostgres;
let redis: TestRedis;
let redisProxy: TlsProxy;
let kafka: TlsKafka;
let temporal: TestTemporal;
let temporalProxy: GrpcProxy;
const dir = mkdtempSync(join(tmpdir(), 'sluice-test-'));

before(async () => {
  [certificates, strangers] = [makeCertificates(), makeCertificates()];
  const { server, client, ca } = certificates;
  const pair = { cert: server.cert, key: server.key };
  const { user } = placePostgres(dir, () => undefined);
  const forPostgres = makeKeyFor(user);
  [postgres, redis, kafka, temporal] = await Promise.all([
    startPostgres({ ssl: 'on', ssl_cert_file: server.certFile, ssl_key_file: forPostgres }),
    startRedis(),
    startTlsKafka(server),
    startTemporal({}),
  ]);
  redisProxy = await startTlsProxy(redis.port, pair);
  temporalProxy = await startGrpcProxy(Number(temporal.address.split(':')[1]), { ...pair, ca, requestCert: true, rejectUnauthorized: true });
  assert.ok(client.cert);
});
after(async () => {
  await Promise.all([redisProxy.close(), temporalProxy.close()]);
  await Promise.all([postgres.stop(), redis.stop(), kafka.stop(), temporal.stop()]);
  for (const one of [certificates, strangers]) one.remove();
  removeReadablePlace(dir);
  rmSync(dir, { recursive: true, force: true });
});

/** PostgreSQL takes a key only from its own user. */
function makeKeyFor(user: { uid: number; gid: number } | undefined): string {
  const { keyFile } = certificates.server;
  if (user) chownSync(keyFile, user.uid, user.gid);
  return keyFile;
}

const settingsOf = (env: Record<string, string>): Settings => loadSettings({ SLUICE_DATA_DIR: dir, ...env }, dir);
const unavailable = (text: RegExp) => (error: unknown) => error instanceof PipelineError && error.action === 'retry' && text.test(error.message);
const strange = /self.signed certificate|unable to verify|unable to get/i;

test('PostgreSQL: encrypted as asked for; verify-full takes neither another name nor another authority', async () => {
  const open = async <T>(env: Record<string, string>, work: (db: Database) => Promise<T>): Promise<T> => {
    const db = connectPostgres({ ...access.reader(loadSettings({ ...postgres.environment, ...env })), name: 'test', max: 2 });
    try {
      return await work(db);
    } finally {
      await db.close();
    }
  };
  const isEncrypted = (db: Database): Promise<boolean> => db.query<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()').then(([row]) => row!.ssl);
  const full = { POSTGRES_TLS: 'verify-full', POSTGRES_TLS_CA_FILE: certificates.caFile };
  assert.equal(await open({ POSTGRES_HOST: '127.0.0.1' }, isEncrypted), false);
  assert.equal(await open({ POSTGRES_HOST: '127.0.0.1', POSTGRES_TLS: 'require' }, isEncrypted), true);
  assert.equal(await open({ POSTGRES_HOST: 'localhost', ...full }, isEncrypted), true);
  await assert.rejects(open({ POSTGRES_HOST: '127.0.0.1', ...full }, isEncrypted), unavailable(/IP: 127.0.0.1 is not in the cert's list/));
  await assert.rejects(open({ POSTGRES_HOST: 'localhost', ...full, POSTGRES_TLS_CA_FILE: strangers.caFile }, isEncrypted), unavailable(strange));

  const copied = (env: Record<string, string>) =>
    open(env, (db) =>
      db.snapshot(async (tx) => {
        let bytes = 0;
        const rows = await tx.copyCsv("SELECT n, repeat('x', n % 300) FROM generate_series(1, 100000) n", 'quoted', async (chunk) => void (bytes += chunk.length));
        return { rows, bytes, after: (await tx.query<{ n: number }>('SELECT 7 AS n'))[0]!.n };
      }),
    );
  assert.deepEqual(await copied({ POSTGRES_HOST: 'localhost', ...full }), await copied({ POSTGRES_HOST: '127.0.0.1' }));
});

test('Redis: over TLS to the right name and authority only', async () => {
  const open = async (env: Record<string, string>): Promise<unknown> => {
    const settings = settingsOf({ REDIS_PORT: String(redisProxy.port), REDIS_PASSWORD: redis.password.reveal(), REDIS_TLS: 'on', ...env });
    const store = connectRedis({ ...access.redisAdmin(settings), name: 'test', failFast: true });
    try {
      return await store.ping();
    } finally {
      await store.close();
    }
  };
  assert.equal(await open({ REDIS_HOST: 'localhost', REDIS_TLS_CA_FILE: certificates.caFile }), 'PONG');
  for (const env of [{ REDIS_HOST: '127.0.0.1', REDIS_TLS_CA_FILE: certificates.caFile }, { REDIS_HOST: 'localhost', REDIS_TLS_CA_FILE: strangers.caFile }]) await assert.rejects(open(env), unavailable(/./));
});

const kafkaSettings = (env: Record<string, string> = {}): Settings =>
  settingsOf({ KAFKA_BROKER: kafka.broker, KAFKA_TLS: 'on', KAFKA_TLS_CA_FILE: certificates.caFile, KAFKA_SASL_MECHANISM: 'scram-sha-256', KAFKA_SASL_USERNAME: kafka.user.name, KAFKA_SASL_PASSWORD: kafka.user.password, ...env });

test('Kafka: TLS with SCRAM or PLAIN; a wrong password and a strange authority are refused', async () => {
  const round = async (env: Record<string, string>, topic: string): Promise<bigint | undefined> => {
    const options = { ...access.kafka(kafkaSettings(env)), clientId: 'test' };
    const [admin, producer] = [createKafkaAdmin(options), createKafkaProducer(options)];
    try {
      await admin.ensureTopics([{ topic, partitions: 1 }]);
      await producer.send(topic, [{ key: null, value: Buffer.from('x'), headers: {} }]);
      return (await admin.offsets(topic))[0]?.high;
    } finally {
      await Promise.all([admin.close(), producer.close()]);
    }
  };
  assert.equal(await round({}, 'scram'), 1n);
  assert.equal(await round({ KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_PASSWORD: 'plain-password' }, 'plain'), 1n);
  await assert.rejects(round({ KAFKA_SASL_PASSWORD: 'wrong' }, 'none'), (error) => error instanceof PipelineError && /authentication/i.test(error.message) && !error.message.includes('wrong'));
  await assert.rejects(round({ KAFKA_TLS_CA_FILE: strangers.caFile }, 'none'), unavailable(strange));
});

test('Kafka Connect, started here, uses a given Kafka with TLS and SCRAM; its file holds no password', async () => {
  const settings = settleSecrets(kafkaSettings({ CONNECT_PORT: String(await findFreePort()) }));
  const spec = connectServer(settings, kafka.tools);
  const { file, args, env } = await spec.command(new AbortController().signal);
  const worker = spawn(file, args, { env, stdio: 'ignore' });
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  try {
    await until('Connect has joined its group', () => (spec.ready as () => Promise<unknown>)().then(() => true, () => false), 120_000, 500);
    assert.ok(!readFileSync(join(dir, 'run', 'connect.properties'), 'utf8').includes(kafka.user.password));
  } finally {
    worker.kill('SIGKILL');
    await gone;
  }
});

test('Temporal: client and worker show their certificate and send the API key with every call', async () => {
  const address = `localhost:${temporalProxy.port}`;
  const env = { TEMPORAL_ADDRESS: address, TEMPORAL_TLS: 'on', TEMPORAL_TLS_CA_FILE: certificates.caFile, TEMPORAL_TLS_CERT_FILE: certificates.client.certFile, TEMPORAL_TLS_KEY_FILE: certificates.client.keyFile, TEMPORAL_API_KEY: 'key-of-the-shop' };
  const options = access.temporal(settingsOf(env));
  assert.ok((await describeTemporal(options)).retentionMs! > 0);
  const connection = await Connection.connect(connectionOptions(options));
  const native = await NativeConnection.connect(connectionOptions(options));
  try {
    await new Client({ connection }).workflow.start('any', { workflowId: 'any', taskQueue: 'nobody' });
    assert.ok((await native.workflowService.getSystemInfo({})).serverVersion);
  } finally {
    await Promise.all([connection.close(), native.close()]);
  }
  assert.ok(temporalProxy.authorizations.length >= 4);
  assert.deepEqual([...new Set(temporalProxy.authorizations)], ['Bearer key-of-the-shop']);

  const { TEMPORAL_TLS_CERT_FILE: _cert, TEMPORAL_TLS_KEY_FILE: _key, ...anonymous } = env;
  await assert.rejects(describeTemporal(access.temporal(settingsOf(anonymous))), unavailable(/./));
  await assert.rejects(describeTemporal(access.temporal(settingsOf({ ...env, TEMPORAL_TLS_CA_FILE: strangers.caFile }))), unavailable(/./));
});
