/** What an extraction reads: the columns as they are, and each table's ids in ranges that together hold every row once. */
import type { Queryable } from '../adapters/postgres.ts';
import { batchTables, type BatchTable } from '../domain/batch-staging.ts';
import { PipelineError } from '../domain/errors.ts';
import { columnsQuery, type PageShape, pageShapes, type SourceColumn, unfitAmounts } from './page-shape.ts';

/** Ids of one table, both ends inclusive; `null`: the rows whose id is NULL. */
export interface KeyRange {
  shape: PageShape;
  ids: { from: bigint; upto: bigint } | null;
}

export interface ExtractPlan {
  /** The largest tables first, so that what is read last is short. */
  ranges: KeyRange[];
  shapes: PageShape[];
  /** The planner's estimates. */
  rowsEstimated: Record<BatchTable, number>;
}

/** Ranges per reader of a table that is worth dividing: one reader that is slow leaves something for the others. */
const rangesPerReader = 4;

/** Error `batch_schema`: a column is missing, has a type that cannot be read, or an amount that whole cents cannot hold. */
export async function readShapes(db: Queryable): Promise<PageShape[]> {
  return pageShapes(await db.query<SourceColumn>(columnsQuery, [batchTables]));
}

/** To be asked in the snapshot that is extracted, with the tables locked. Errors as `readShapes`. */
export async function planExtraction(tx: Queryable, { readers, pageRows }: { readers: number; pageRows: number }): Promise<ExtractPlan> {
  const shapes = await readShapes(tx);
  const planned: { shape: PageShape; rows: number; ranges: KeyRange[] }[] = [];
  for (const shape of shapes) {
    for (const column of shape.unbounded) await checkAmounts(tx, shape.table, column);
    const rows = await estimateRows(tx, shape.table);
    planned.push({ shape, rows, ranges: await rangesOf(tx, shape, rows > pageRows ? readers * rangesPerReader : 1) });
  }
  return {
    ranges: planned.toSorted((a, b) => b.rows - a.rows).flatMap(({ ranges }) => ranges),
    shapes,
    rowsEstimated: Object.fromEntries(planned.map(({ shape, rows }) => [shape.table, rows])) as Record<BatchTable, number>,
  };
}

async function checkAmounts(tx: Queryable, table: BatchTable, column: string): Promise<void> {
  const [found] = await tx.query<{ count: string; id: string | null }>(unfitAmounts(table, column));
  if (!found || found.count === '0') return;
  const why = `${table}.${column}: ${found.count} values have parts of a cent or more than 14 digits before the point, such as in id ${found.id}`;
  throw new PipelineError('batch_schema', `The source cannot be extracted: ${why}. Sums are made of whole cents: mend the values, or make the column numeric(p,2).`, {
    details: { table, column, count: Number(found.count) },
  });
}

async function estimateRows(tx: Queryable, table: BatchTable): Promise<number> {
  const [row] = await tx.query<{ 'QUERY PLAN': { Plan: { 'Plan Rows': number } }[] }>(`EXPLAIN (FORMAT json) SELECT FROM public.${table}`);
  return row?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0;
}

async function rangesOf(tx: Queryable, shape: PageShape, wanted: number): Promise<KeyRange[]> {
  const [row] = await tx.query<{ first: string | null; last: string | null }>(`SELECT min(id)::text AS first, max(id)::text AS last FROM public.${shape.table}`);
  const numbered = row?.first && row.last ? divide(BigInt(row.first), BigInt(row.last), wanted) : [];
  return [...numbered, ...(shape.idMayBeNull ? [null] : [])].map((ids) => ({ shape, ids }));
}

/** At most `wanted` ranges of even width from `first` to `last`. */
export function divide(first: bigint, last: bigint, wanted: number): { from: bigint; upto: bigint }[] {
  const width = (last - first) / BigInt(wanted) + 1n;
  const ranges: { from: bigint; upto: bigint }[] = [];
  for (let from = first; from <= last; from += width) {
    const upto = from + width - 1n;
    ranges.push({ from, upto: upto < last ? upto : last });
  }
  return ranges;
}
