/**
 * Goal: several pipelines live on one Redis Cluster, each whole in one slot, and none sees another; a node that dies takes nothing.
 * Method: three real nodes; the real processors, batch, staging and alert activities write for two pipelines at once, each as
 * its own user, through the client that the processes use.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { access } from '../../src/access.ts';
import { createAlertActivities } from '../../src/activities/alerts.ts';
import { connectRedis, type RedisStore } from '../../src/adapters/redis.ts';
import { loadTable, publish } from '../../src/batch/publish.ts';
import { createRedisStaging } from '../../src/batch/redis-staging.ts';
import { CdcProcessor } from '../../src/consumers/cdc/processor.ts';
import type { Processor } from '../../src/consumers/processor.ts';
import { watched } from '../../src/domain/stream/touches.ts';
import { createStreamWindows } from '../../src/consumers/stream/windows.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { createKeys, streamKeys, type Keys } from '../../src/domain/keys.ts';
import { minuteOf } from '../../src/domain/stream/minute.ts';
import { streamTables } from '../../src/domain/stream/tables.ts';
import { tables } from '../../src/domain/tables/registry.ts';
import { tableTopic } from '../../src/domain/topics.ts';
import { createReplicaStatus } from '../../src/replica/status.ts';
import { recordTables } from '../../src/workflows/batch-contract.ts';
import { assertReplica } from '../assert-replica.ts';
import { aChange, anOrder } from '../builders.ts';
import { deliverAll } from '../deliver.ts';
import { startRedisCluster, type TestCluster } from '../redis-cluster.ts';
import { limits } from '../rule-limits.ts';
import { deliveries, tableNames, truncatedHistory, type History } from '../shop-stream.ts';
import { until } from '../stack.ts';

interface Pipeline {
  prefix: string;
  redis: RedisStore;
  keys: Keys;
  shop: History;
  /** What its client has told of its connections. */
  heard: ('up' | 'down')[];
}

const prefixes = ['{shop}:', '{market}:'];
const topicPrefix = 'ecommerce';
let cluster: TestCluster;
let pipelines: Pipeline[];

before(async () => {
  cluster = await startRedisCluster(prefixes);
  const shops = fc.sample(truncatedHistory(300), { numRuns: prefixes.length, seed: 7 });
  pipelines = prefixes.map((prefix, i) => {
    const heard: Pipeline['heard'] = [];
    const redis = connectRedis({ ...access.replica(cluster.settings.get(prefix)!), name: 'test', onConnection: (state) => void heard.push(state) });
    return { prefix, redis, keys: createKeys(prefix), shop: shops[i]!, heard };
  });
});
after(async () => {
  await Promise.all(pipelines.map(({ redis }) => redis.close()));
  await cluster.stop();
});

const onBoth = (work: (pipeline: Pipeline) => Promise<void>): Promise<unknown> => Promise.all(pipelines.map(work));

async function claimAll({ redis }: Pipeline, keys: Keys): Promise<void> {
  await redis.setFields(keys.pipeline, { spec: 'rules' });
  for (const name of tableNames) for (const partition of [0, 1]) await redis.setFields(keys.owner(tableTopic(topicPrefix, name), partition), { epoch: '1' });
}

function processorOf({ redis, keys }: Pipeline): Processor {
  return new CdcProcessor({ redis, keys, status: createReplicaStatus(redis, keys), tables, topicPrefix, changesMax: 5, deadLetters: async () => undefined, failpoint: () => undefined });
}

test('the two pipelines are on different nodes', async () => {
  const owners = await Promise.all(prefixes.map((prefix) => cluster.ownerOf(`${prefix}cdc:status`)));
  assert.notEqual(owners[0], owners[1]);
});

test('random histories, sweeps and zombies of both at once leave each replica exact', async () => {
  const plans = fc.sample(deliveries, { numRuns: prefixes.length, seed: 11 });
  await onBoth(async (pipeline) => {
    await claimAll(pipeline, pipeline.keys);
    await deliverAll(processorOf(pipeline), topicPrefix, pipeline.shop, plans[pipelines.indexOf(pipeline)]!);
    await assertReplica(pipeline.redis, pipeline.keys, pipeline.shop);
  });
});

test('conditions are told and rolled up', async () => {
  await onBoth(async ({ redis, keys }) => {
    const status = createReplicaStatus(redis, keys);
    await status.set('orders', 'drift', 'columns', 'a column was added');
    assert.equal((await redis.hash(keys.status))['orders'], 'drift');
    await status.clear('orders', 'drift', 'columns');
    assert.equal((await redis.hash(keys.status))['orders'], 'running');
  });
});

test('the stream keeps its minutes, their expiry and its outbox', async () => {
  const placedAt = new Date();
  await onBoth(async (pipeline) => {
    const keys = streamKeys(pipeline.keys);
    const { redis } = pipeline;
    await claimAll(pipeline, keys);
    const windows = createStreamWindows({ redis, keys, latenessMs: 120_000, limits });
    const stream = new CdcProcessor({ redis, keys, status: createReplicaStatus(redis, keys), tables: streamTables, topicPrefix, changesMax: 0, deadLetters: async () => undefined, failpoint: () => undefined, windows });
    const order = anOrder({ total_amount: '5000.00', order_date: placedAt.toISOString() });
    const claim = { topic: tableTopic(topicPrefix, 'orders'), partition: 0, epoch: 1, spec: 'rules', offset: null, expect: null };
    assert.deepEqual(await stream.apply(claim, [aChange({ after: order, commitMs: placedAt.getTime() })]), { result: 'applied' });
    const [minute = {}, outbox = {}] = await redis.hashes([keys.of(`realtime:metrics:${minuteOf(placedAt.getTime())!}`), keys.of(watched.outbox)]);
    assert.deepEqual([minute['orders'], minute['revenue_cents']], ['1', '500000']);
    const [[name, text]] = Object.entries(outbox) as [[string, string]];
    assert.match(name, /^high_value_order /);
    await redis.settle(keys.of(watched.outbox), [[name, text]]);
    assert.deepEqual(await redis.hash(keys.of(watched.outbox)), {});
  });
});

test('a batch run is staged, loaded and published', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-cluster-'));
  try {
    await onBoth(async ({ prefix, redis, keys }) => {
      const staging = createRedisStaging({ redis, keys, ttlMs: 60_000, bytesMax: 2 ** 24 });
      const [file, into, bytes] = [join(dir, `${prefix}.parquet`), join(dir, `${prefix}out`), `rows of ${prefix}`.repeat(100_000)];
      writeFileSync(file, bytes);
      await staging.put('run/1/extract', 'orders.parquet', file);
      await staging.seal('run/1/extract');
      await staging.fetch('run/1/extract', into);
      assert.equal(readFileSync(join(into, 'orders.parquet'), 'utf8'), bytes);
      await staging.drop('run');

      const to = { redis, keys, supersededMs: 60_000, keptMs: 60_000 };
      const end = '2026-11-22T00:00:00Z';
      const records = Array.from({ length: 1500 }, (_, i) => ({ id: String(i), record: JSON.stringify({ of: prefix }) }));
      for (const runId of ['first', 'second']) {
        for (const table of recordTables) await loadTable(to, table, runId, pageOf(records), () => undefined);
        const rows = { customers: 1, products: 1, orders: 1, order_items: 1 };
        const report = { runId, window: { start: '2026-11-21T00:00:00Z', end }, publish: 'latest' as const, startedMs: 1, rows, quality: { verdict: 'pass' as const, findings: [], passed: 1, seconds: 1 }, durations: {} };
        assert.equal(await publish(to, report, { records_processed: { customers: 1500, products: 1500, orders: 1500 } }, 2), 'latest');
      }
      assert.deepEqual(await redis.strings(recordTables.map((table) => keys.batchLatest(table))), recordTables.map(() => 'second'));
      assert.equal(await redis.size(keys.batchRecords('orders', 'second')), 1500);
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

async function* pageOf<T>(records: T[]): AsyncGenerator<T[]> {
  yield records;
}

test('alerts are admitted and shown', async () => {
  await onBoth(async ({ redis, keys }) => {
    const activities = createAlertActivities({ redis, keys, senders: {}, routes: { routes: [] }, escalateSeconds: [], quietSeconds: 60, deliverySeconds: 60, stormMost: 1 });
    const admitted = [];
    for (const id of ['a', 'b', 'c']) admitted.push(await activities.admitNotice({ id, type: 'bulk_orders', kind: 'opened' }));
    assert.deepEqual(admitted.map(({ how }) => how), ['alone', 'lead', 'member']);
    const alert = { type: 'bulk_orders', entity: '42', episode: 1, severity: 'HIGH', value: '11', threshold: '10', window: '60 s', status: 'open', occurrences: 1, openedAt: '2026-11-22T00:00:00Z' } as const;
    await activities.projectAlert(alert);
    assert.equal((await redis.hash(keys.alert('bulk_orders', '42/1')))['status'], 'open');
    assert.deepEqual((await redis.sortedSets([keys.alertsOpen]))[0]?.[0], 'bulk_orders:42/1');
  });
});

test('a walk over the keys finds all of one pipeline and none of the other; neither may touch the other', async () => {
  const counts = await Promise.all(cluster.nodes.map(({ admin }) => admin.dbsize()));
  let found = 0;
  for (const { prefix, redis } of pipelines) {
    for await (const page of redis.scan(`${prefix}*`)) {
      assert.deepEqual(page.filter((key) => !key.startsWith(prefix)), []);
      found += page.length;
    }
  }
  assert.equal(found, counts.reduce((sum, count) => sum + count, 0));
  const [one, other] = pipelines;
  await assert.rejects(one!.redis.hash(other!.keys.status), (error) => error instanceof PipelineError && /NOPERM|No permissions/.test(error.message));
});

test('the node of one pipeline dies and comes back: its client says so, waits, and the replica is as it was', async () => {
  const [hit, spared] = pipelines;
  const node = await cluster.ownerOf(hit!.keys.status);
  hit!.heard.length = 0;
  const restarted = cluster.restart(node);
  await until('the client has noticed', async () => hit!.heard.includes('down'));
  assert.ok(Object.keys(await spared!.redis.hash(spared!.keys.status)).length > 0, 'the other node answers meanwhile');
  await restarted;
  await until('the client is back', async () => hit!.heard.at(-1) === 'up');
  await assertReplica(hit!.redis, hit!.keys, hit!.shop);
});
