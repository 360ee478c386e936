/** Activities of the batch that do nothing but record their order, for tests of its workflows. */
import type { BatchWindow } from '../src/domain/batch-window.ts';
import type { BackfillActivities, BatchActivities, BatchVerdict, WindowState } from '../src/workflows/batch-contract.ts';

type Step = () => Promise<unknown>;

export function createBatchFakes() {
  const calls: string[] = [];
  const windows: BatchWindow[] = [];
  /** What the next calls do before they succeed; `states` by window end, `missing` when there is none. */
  const script = { extract: [] as Step[], transform: [] as Step[], load: [] as Step[], verdict: 'pass' as BatchVerdict, states: {} as Record<string, WindowState> };
  const rows = { customers: 2, products: 1, orders: 3, order_items: 3 };
  let failures = 0;
  const activities: BatchActivities & BackfillActivities = {
    extractTables: async ({ round }) => {
      calls.push(`extract ${round}`);
      await script.extract.shift()?.();
      return { set: 'run/1-1/source', rows, bytes: 10, files: 4, seconds: 0.1 };
    },
    checkQuality: async ({ window }) => {
      calls.push('check');
      windows.push(window);
      const findings = script.verdict === 'pass' ? [] : [{ name: 'orders have customers', severity: 'block' as const, failed: 1, detail: '1 row of orders without a customer' }];
      return { verdict: script.verdict, findings, passed: 12, seconds: 0.1 };
    },
    transformTables: async () => {
      calls.push('transform');
      await script.transform.shift()?.();
      return { set: 'run/1-1/records-1', insights: { records_processed: { customers: 2, products: 1, orders: 3 } }, seconds: 0.1 };
    },
    loadRecords: async ({ report }) => {
      calls.push('load');
      await script.load.shift()?.();
      return { records: 6, isLatest: report.publish === 'latest', seconds: 0.1 };
    },
    recordFailure: async (_report, { verdict, why }) => {
      calls.push(`failure ${verdict} ${why}`);
      return (failures += 1);
    },
    pauseSchedule: async (count) => void calls.push(`pause after ${count}`),
    dropRun: async (_runId, isPublished) => void calls.push(`drop ${isPublished ? 'published' : 'unpublished'}`),
    inspectWindows: async (inspected) => inspected.map(({ end }) => script.states[end] ?? 'missing'),
  };
  return {
    activities,
    calls,
    windows,
    script,
    reset: () => {
      calls.length = 0;
      windows.length = 0;
      Object.assign(script, { extract: [], transform: [], load: [], verdict: 'pass', states: {} });
      failures = 0;
    },
  };
}
