/**
 * Goal: the supervisor restarts with growing pauses, gives up loudly, comes back by itself, and never forgets across runs.
 * Method: the real workflow on a real Temporal server; what it finds is scripted, what it does is recorded.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, beforeEach, test } from 'node:test';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { supervisorStateQuery, taskQueue, type Finding, type SupervisorActivities, type SupervisorState } from '../../src/workflows/contract.ts';
import { until } from '../stack.ts';
import { startTemporal, type TestTemporal } from '../temporal.ts';

let temporal: TestTemporal;
let findings: (Finding | 'refused')[] = [];
let looks: { failures: number; quietMs: number }[] = [];
let looking = 0;
let supervised = '';
let done: string[] = [];
let release: (reason: Error) => void = () => undefined;
const failed: Finding = { kind: 'failed', why: 'ConnectException' };

const activities: SupervisorActivities & { planRebuild: () => Promise<never> } = {
  watchPipeline: async (failures, quietMs) => {
    if (Context.current().info.workflowExecution?.workflowId !== supervised) return { kind: 'quiet' }; // a look of the test before
    looks.push({ failures, quietMs });
    const finding = findings.shift();
    if (finding === 'refused') throw ApplicationFailure.nonRetryable('Redis refused a command: WRONGPASS', 'redis_refused');
    if (finding) return finding;
    looking += 1;
    await delay(20);
    looking -= 1;
    return { kind: 'quiet' };
  },
  restartConnector: async (onlyFailed) => void done.push(onlyFailed ? 'restart failed' : 'restart all'),
  reportConnector: async (why) => void done.push(why === '' ? 'all clear' : 'report'),
  haltForSlot: async (why) => void done.push(`halt: ${why}`),
  planRebuild: () => new Promise<never>((_resolve, reject) => (release = reject)), // a rebuild that gets no further
};

before(async () => {
  temporal = await startTemporal(activities, { suggestedHistoryEvents: 150 });
});
beforeEach(() => {
  findings = [];
  looks = [];
  done = [];
});
after(() => temporal.stop());

async function supervise(id: string, work: (state: () => Promise<SupervisorState>) => Promise<void>): Promise<void> {
  supervised = id;
  await temporal.client.workflow.start('superviseConnector', { workflowId: id, taskQueue });
  const handle = temporal.client.workflow.getHandle(id);
  await work(() => handle.query<SupervisorState>(supervisorStateQuery));
  await handle.terminate();
  await until('its last look is over', async () => looking === 0);
}

test('a connector that fails on is restarted with growing pauses, then rarely and loudly, until it recovers', async () => {
  findings = [...Array.from({ length: 10 }, () => failed), { kind: 'recovered' }];
  await supervise('back-off', async (state) => {
    await until('it recovered', async () => findings.length === 0 && (await state()).failures === 0);
    const pauses = looks.slice(0, 11).map(({ quietMs }) => quietMs);
    const wanted = [0, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 300_000, 300_000, 300_000];
    pauses.forEach((pause, i) => assert.ok(pause <= wanted[i]! && pause > wanted[i]! - 2000, `pause ${i} is ${pause}, not ${wanted[i]}`));
    assert.deepEqual(done, [...Array.from({ length: 8 }, () => 'restart failed'), 'report', 'restart failed', 'restart failed', 'all clear']);
    assert.equal((await state()).breakerOpen, false);
  });
});

test('a server that refuses does not end it', async () => {
  findings = ['refused'];
  await supervise('refused', async (state) => {
    await until('it has told', async () => /^refused: .*WRONGPASS; trying again/.test((await state()).last));
    assert.equal((await temporal.client.workflow.getHandle('refused').describe()).status.name, 'RUNNING');
  });
});

test('silence restarts everything, a lost slot halts', async () => {
  findings = [{ kind: 'silent', why: 'nothing came' }, { kind: 'slot', why: 'gone' }];
  await supervise('silence', async () => {
    await until('both were answered', async () => done.length === 2);
    assert.deepEqual(done, ['restart all', 'halt: gone']);
  });
});

test('failures are remembered when the history is continued as new', async () => {
  findings = [failed, failed];
  await supervise('continued', async (state) => {
    const handle = temporal.client.workflow.getHandle('continued');
    const { runId } = await handle.describe();
    await until('a new run', async () => (await handle.describe()).runId !== runId);
    await until('it looks with what it remembers', async () => (await state()).failures === 2 && looks.at(-1)?.failures === 2);
  });
});

test('a stale table is rebuilt by one workflow, however often it is found', async () => {
  const stale: Finding = { kind: 'stale', table: 'orders', why: 'its topic was cut' };
  findings = [stale, stale];
  await supervise('stale', async (state) => {
    await until('both were answered', async () => findings.length === 0 && looks.length > 3);
    const rebuild = temporal.client.workflow.getHandle('rebuild/orders');
    assert.equal((await rebuild.describe()).status.name, 'RUNNING');
    assert.match((await state()).last, /stale/);
    await rebuild.terminate();
    release(new Error('over'));
  });
});
