/** The kinds of checks that the quality gate is made of: each counts the rows that fail, and says so in one line without a value of a row. */
import type { BatchTable } from '../domain/batch-staging.ts';
import type { RowCounts } from '../workflows/batch-contract.ts';

type Severity = 'warn' | 'block';

export interface Check {
  name: string;
  table: BatchTable;
  severity: Severity;
  /** SQL for the number of rows that fail, or a judgement of how many rows there are and were in the last good run. */
  failed: string | ((rows: RowCounts, lastGood: RowCounts) => number);
  /** The line for a person. */
  detail: (failed: number) => string;
}

type Kind = (severity: Severity, table: BatchTable, column: string) => Check;

const rows = (count: number): string => `${count} ${count === 1 ? 'row' : 'rows'}`;

const rowsWhere = (table: BatchTable, condition: string): string => `SELECT count(*) FROM ${table} WHERE ${condition}`;

/**
 * No two rows have the same value; NULL is another check's business. 32 neighbouring integers share a word with a bit for each, so that
 * millions of ids need a small table.
 */
export const unique: Kind = (severity, table, column) => ({
  name: `${table}.${column} is unique`,
  table,
  severity,
  failed: `
    SELECT coalesce(sum(n - bit_count(seen)), 0)
    FROM (SELECT count(*) AS n, bit_or(1::BIGINT << (${column} & 31)) AS seen FROM ${table} WHERE ${column} IS NOT NULL GROUP BY ${column} >> 5)`,
  detail: (failed) => `${rows(failed)} of ${table} repeat the ${column} of another`,
});

export const notNull: Kind = (severity, table, column) => ({
  name: `${table}.${column} is not NULL`,
  table,
  severity,
  failed: rowsWhere(table, `${column} IS NULL`),
  detail: (failed) => `${rows(failed)} of ${table} without ${column}`,
});

export const nonNegative: Kind = (severity, table, column) => ({
  name: `${table}.${column} is not negative`,
  table,
  severity,
  failed: rowsWhere(table, `${column} < 0`),
  detail: (failed) => `${rows(failed)} of ${table} with ${column} below zero`,
});

/** NULL is another check's business. */
export const acceptedValues = (severity: Severity, table: BatchTable, column: string, values: readonly string[]): Check => ({
  name: `${table}.${column} is known`,
  table,
  severity,
  failed: rowsWhere(table, `${column} NOT IN (${values.map((value) => `'${value}'`).join(', ')})`),
  detail: (failed) => `${rows(failed)} of ${table} whose ${column} is none of ${values.join(', ')}`,
});

/** Every value that is not NULL is the id of a row of `target`. */
export const relationship = (severity: Severity, table: BatchTable, column: string, target: BatchTable): Check => ({
  name: `${table}.${column} is in ${target}`,
  table,
  severity,
  failed: rowsWhere(table, `${column} IS NOT NULL AND ${column} NOT IN (SELECT id FROM ${target} WHERE id IS NOT NULL)`),
  detail: (failed) => `${rows(failed)} of ${table} whose ${column} is not in ${target}`,
});

/** A table lost more than `above` and at most `upto` percent of its rows since the last good run; one that grew passes. */
export const rowDrift = (severity: Severity, table: BatchTable, { above, upto }: { above: number; upto: number }): Check => ({
  name: `${table} kept its rows`,
  table,
  severity,
  failed: ({ [table]: now }, { [table]: before }) => {
    const lost = before - now;
    return lost * 100 > before * above && lost * 100 <= before * upto ? lost : 0;
  },
  detail: (failed) => `${table} has ${rows(failed)} less than in the last good run, more than ${above} % of them${severity === 'block' ? '; if that is meant: npx sluice batch run --accept-loss' : ''}`,
});

/** A window without a row, though there are rows before it. Looks at no clock. */
export const freshness: Kind = (severity, table, column) => ({
  name: `${table} go on`,
  table,
  severity,
  failed: `
    SELECT CASE WHEN count(*) FILTER (WHERE ${column} >= getvariable('window_start')) = 0 THEN count(*) ELSE 0 END
    FROM ${table} WHERE isfinite(${column}) AND ${column} < getvariable('window_end')`,
  detail: (failed) => `no row of ${table} has its ${column} in the window, ${failed} before it`,
});

/** An order costs what its items do. Orders of which an amount is missing are not judged; one without items costs nothing. */
export const totalEqualsItems = (severity: Severity): Check => ({
  name: 'orders.total_cents is the sum of its items',
  table: 'orders',
  severity,
  failed: `
    SELECT count(*)
    FROM orders o LEFT JOIN (
      SELECT order_id AS id, sum(quantity::HUGEINT * unit_price_cents) AS cents, count(quantity::HUGEINT * unit_price_cents) = count(*) AS complete
      FROM order_items GROUP BY order_id
    ) i USING (id)
    WHERE o.total_cents <> coalesce(i.cents, 0) AND i.complete IS NOT FALSE`,
  detail: (failed) => `${rows(failed)} of orders whose total is not the sum of quantity × price`,
});
