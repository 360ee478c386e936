/**
 * Goal: a log that is not the one the fence was written for is never jumped over: its table is read again, or stands still where
 * that cannot help, and both are told. Method: what the last claim has stored is changed under a consumer that is then killed.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { names } from '../../src/domain/keys.ts';
import { contributionSpec } from '../../src/domain/tables/registry.ts';
import { tableTopic } from '../../src/domain/topics.ts';
import { decodeReply, encodeCommit } from '../../src/replica/commit.ts';
import { createReplicaStatus } from '../../src/replica/status.ts';
import { readTableState } from '../../src/replica/table-state.ts';
import { assertVerified, until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const topicOf = (table: string): string => tableTopic(stack.settings.TOPIC_PREFIX, table);

/** Changes a field of a hash while the consumer stands still, kills it, and gives back what was there. */
async function changeAndKill(hash: string, field: string, value: string): Promise<string> {
  const { pid } = (await stack.status()).processes.find(({ name }) => name === 'cdc-consumer')!;
  process.kill(pid, 'SIGSTOP'); // nothing is committed between the look and the change
  const before = (await stack.redis.hash(hash))[field]!;
  await stack.redis.setFields(hash, { [field]: value });
  process.kill(pid, 'SIGKILL');
  return before;
}

test('another record before the fence: the table is read again, without a command, and ends equal', async () => {
  const generation = async (): Promise<number> => (await readTableState(stack.redis, stack.keys, 'orders')).generation;
  const bounds = await stack.kafka.offsets(topicOf('orders'));
  const { partition } = bounds.find(({ high }) => high > 0n)!;
  await until('something was applied', async () => (await stack.redis.strings([stack.keys.offset(topicOf('orders'), partition)]))[0] ?? undefined);
  const before = await generation();
  await changeAndKill(stack.keys.owner(topicOf('orders'), partition), 'last', 'another');
  const why = await until('the table is told', async () => (await stack.redis.hash(stack.keys.status))['orders:why']);
  assert.match(why, /re-created or cut|reading|read again/);
  await until('its generation is raised', async () => (await generation()) > before); // the condition comes first
  await until('the table runs again', async () => (await stack.redis.hash(stack.keys.status))['orders'] === 'running', 180_000);
  await assertVerified(stack);
});

test('a replica that an older release has computed is read again by the rules of this one, and ends equal', async () => {
  const { pid } = (await stack.status()).processes.find(({ name }) => name === 'cdc-consumer')!;
  process.kill(pid, 'SIGSTOP');
  const [row] = await stack.db.query<{ id: number }>('SELECT id FROM orders ORDER BY id LIMIT 1');
  const key = stack.keys.row('order', String(row!.id));
  const [text] = await stack.redis.strings([key]);
  const stored = JSON.parse(text!) as { _c: [hash: string, field: string, amount: number][] };
  const older: typeof stored._c = [[names.revenue, 'cents:older', 777]];
  const counters = new Map<string, Map<string, number>>();
  for (const [hash, field, amount] of [...stored._c.map(([hash, field, amount]) => [hash, field, -amount] as const), ...older]) {
    counters.set(hash, (counters.get(hash) ?? new Map<string, number>()).set(field, amount));
  }
  const writes = { rows: new Map(), deletes: new Set<string>(), unparked: new Map(), marks: new Map(), counters, members: new Map(), changes: [], countedIn: '', eventCount: 0, lastLsn: null, lastCommitMs: null, firstCommitMs: null };
  const commit = encodeCommit(stack.keys, {
    expect: { fields: [[stack.keys.pipeline, 'spec', contributionSpec]], strings: [[key, text!]] },
    plan: { table: 'orders', changesMax: 0, writes },
    strings: [[key, JSON.stringify({ ...stored, _c: older })]],
    fields: [[stack.keys.pipeline, 'spec', 'cdc-0']],
  });
  assert.deepEqual(decodeReply(await stack.redis.commit(commit.keys, commit.args)), { result: 'applied' });
  process.kill(pid, 'SIGCONT');
  const why = await until('the table is told', async () => (await stack.redis.hash(stack.keys.status))['orders:why']);
  assert.match(why, /rules cdc-0|reading|read again/);
  await until('all tables run again', async () => (await createReplicaStatus(stack.redis, stack.keys).conditions()).length === 0, 180_000, 200);
  await assertVerified(stack);
  assert.equal(Number((await stack.redis.hash(stack.keys.of(names.revenue)))['cents:older'] ?? 0), 0);
});

test('another number of partitions halts the table, and status is unhealthy with the reason', async () => {
  const field = `partitions:${topicOf('products')}`;
  const stored = await changeAndKill(stack.keys.pipeline, field, '7');
  const status = await until('the table is halted', async () => {
    const now = await stack.sluice('status', '--json');
    return now.code === 3 && (JSON.parse(now.stdout) as { halted: Record<string, string> }).halted['products'] !== undefined && now;
  });
  assert.match((JSON.parse(status.stdout) as { halted: Record<string, string> }).halted['products']!, new RegExp(`has ${stored} partitions, the replica was made from 7`));
  await changeAndKill(stack.keys.pipeline, field, stored);
  await until('the table runs again', async () => (await stack.redis.hash(stack.keys.status))['products'] === 'running', 120_000);
  await assertVerified(stack);
});
