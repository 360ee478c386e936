/** The quality gate of a batch run: which faults of the staged rows stop it and which are told only. Changes nothing. */
import { batchTables } from '../domain/batch-staging.ts';
import type { QualityFinding, QualityResult, RowCounts } from '../workflows/batch-contract.ts';
import {
  acceptedValues,
  type Check,
  freshness,
  nonNegative,
  notNull,
  relationship,
  rowDrift,
  totalEqualsItems,
  unique,
} from './checks.ts';
import { openStaged, type StagedRun } from './staged.ts';

const checks: Check[] = [
  ...batchTables.map((table) => notNull('block', table, 'id')),
  ...batchTables.map((table) => unique('block', table, 'id')),
  relationship('block', 'orders', 'customer_id', 'customers'),
  relationship('block', 'order_items', 'order_id', 'orders'),
  relationship('block', 'order_items', 'product_id', 'products'),
  ...batchTables.map((table) => rowDrift('block', table, { above: 50, upto: 100 })),
  ...batchTables.map((table) => rowDrift('warn', table, { above: 10, upto: 50 })),
  notNull('warn', 'orders', 'customer_id'),
  notNull('warn', 'orders', 'status'),
  notNull('warn', 'order_items', 'order_id'),
  notNull('warn', 'order_items', 'product_id'),
  acceptedValues('warn', 'orders', 'status', ['pending', 'processing', 'shipped', 'delivered', 'cancelled']),
  nonNegative('warn', 'products', 'price_cents'),
  nonNegative('warn', 'products', 'stock_quantity'),
  nonNegative('warn', 'orders', 'total_cents'),
  nonNegative('warn', 'order_items', 'quantity'),
  nonNegative('warn', 'order_items', 'unit_price_cents'),
  totalEqualsItems('warn'),
  freshness('warn', 'orders', 'order_date'),
];

/** Judges what is staged; without a last good run nothing counts as lost. Findings hold counts and names only, the blocking ones first. */
export async function checkQuality({ lastGoodRows, ...run }: StagedRun & { lastGoodRows: RowCounts | null }): Promise<Omit<QualityResult, 'seconds'>> {
  await openStaged(run);
  const count = async (sql: string): Promise<number> => Number((await run.db.rows<{ n: bigint }>(`SELECT (${sql}) AS n`, run.signal))[0]!.n);
  const rows = {} as RowCounts;
  for (const table of batchTables) rows[table] = await count(`SELECT count(*) FROM ${table}`);

  const findings: QualityFinding[] = [];
  for (const { name, severity, failed: rule, detail } of checks) {
    const failed = typeof rule === 'string' ? await count(rule) : rule(rows, lastGoodRows ?? rows);
    if (failed > 0) findings.push({ name, severity, failed, detail: detail(failed) });
  }
  const verdict = findings.some(({ severity }) => severity === 'block') ? 'block' : findings.length > 0 ? 'warn' : 'pass';
  return { verdict, findings, passed: checks.length - findings.length };
}
