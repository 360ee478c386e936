/** Goal: a backfill runs the windows that its policy means. Method: every state of a window's result and of its last run, against the policies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspectWindows } from '../../src/batch/windows.ts';
import { createKeys } from '../../src/domain/keys.ts';
import { backfillPolicies, isWanted } from '../../src/workflows/batch-contract.ts';

const window = { start: '2026-11-20T00:00:00Z', end: '2026-11-21T00:00:00Z' };

async function wantedBy(status: string | null, hasResult: boolean): Promise<string[]> {
  const keys = createKeys('');
  const stored: Record<string, string> = hasResult ? { [keys.batchWindow('customers', window.end)]: 'run', [keys.batchSummary('run')]: JSON.stringify({ window }) } : {};
  const [state] = await inspectWindows(
    {
      keys,
      redis: { strings: async (names) => names.map((name) => stored[name] ?? null) },
      temporal: { describeWorkflow: async () => (status === null ? null : { status, startedAt: new Date(0) }) },
    },
    [window],
  );
  return backfillPolicies.filter((policy) => isWanted(policy, state!));
}

test('a window is run whose result is missing or, if that is asked for, whose last run came to nothing', async () => {
  const everyPolicy = ['none', 'failed', 'all'];
  for (const status of [null, 'COMPLETED', 'CANCELLED']) assert.deepEqual(await wantedBy(status, false), everyPolicy, `no result, ${status}`);
  for (const status of [null, 'COMPLETED']) assert.deepEqual(await wantedBy(status, true), ['all'], `a result, ${status}`);
  for (const status of ['FAILED', 'TIMED_OUT', 'TERMINATED']) {
    assert.deepEqual(await wantedBy(status, false), ['failed', 'all'], `no result, ${status}`);
    assert.deepEqual(await wantedBy(status, true), ['failed', 'all'], `an older result, ${status}`);
  }
  assert.deepEqual(await wantedBy('CANCELLED', true), ['failed', 'all'], 'an older result, and the run that should have replaced it was cancelled');
  for (const hasResult of [true, false]) assert.deepEqual(await wantedBy('RUNNING', hasResult), []);
});
