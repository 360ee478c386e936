/**
 * Debezium's notifications about a snapshot, folded to how far it is. Pure.
 * A notification's id is that of the newest signal, whichever table it is about: only a table's first chunk tells that a scan
 * is not the rest of an earlier one.
 */
import { z } from 'zod';
import type { Scan } from '../workflows/contract.ts';

const notificationSchema = z.object({
  type: z.string(),
  aggregate_type: z.string(),
  additional_data: z.record(z.string(), z.string()).nullish(),
});

const incremental = 'Incremental Snapshot';
const schema = 'public';

/** `tables`: those that are awaited. `initial`: of a connector's first snapshot. Anything that is no notification changes nothing. */
export function foldNotification(scan: Scan, text: string, tables: string[], initial: boolean): Scan {
  const parsed = notificationSchema.safeParse(parseJson(text));
  if (!parsed.success) return scan;
  const { type, aggregate_type: kind, additional_data: data } = parsed.data;
  if (kind !== incremental && !initial) return foldBeginning(scan, type);
  if (kind === incremental && initial) return scan;
  const of = (name: string): string | undefined => tables.find((table) => data?.[name] === `${schema}.${table}`);
  if (initial) return foldInitial(scan, type, of('scanned_collection'), Number(data?.['total_rows_scanned'] ?? 0), tables);
  const named = tables.filter((table) => (data?.['data_collections'] ?? '').split(',').includes(`${schema}.${table}`));
  if (type === 'STARTED' && named.length > 0) return { ...scan, started: true };
  if (type === 'ABORTED') {
    const stopped = named.filter((table) => isOurs(scan, table) && !scan.done.includes(table));
    return stopped.length === 0 ? scan : { ...scan, failed: `the snapshot of ${stopped.join(', ')} was stopped by a signal` };
  }
  const current = of('current_collection_in_progress');
  if (type === 'IN_PROGRESS' && current) return foldChunk(scan, current, data ?? {});
  const scanned = of('scanned_collection');
  return type === 'TABLE_SCAN_COMPLETED' && scanned ? foldScanned(scan, scanned, data ?? {}) : scan;
}

/** A first snapshot: the log is read from its end on, and a signal from before it is skipped. SKIPPED is the end of one whose connector died before it said so. */
function foldBeginning(scan: Scan, type: string): Scan {
  if (type === 'STARTED') return { ...scan, anew: true };
  return type === 'COMPLETED' || (type === 'SKIPPED' && scan.anew) ? { ...scan, lost: true } : scan;
}

/** Else it is about an earlier scan: a stop that was asked for then may be told only now. */
const isOurs = ({ begun, started }: Scan, table: string): boolean => started === true || begun.includes(table);

function foldInitial(scan: Scan, type: string, scanned: string | undefined, rows: number, tables: string[]): Scan {
  if (type === 'STARTED') return { ...scan, rowsRead: {} };
  if (type === 'TABLE_SCAN_COMPLETED' && scanned) return { ...scan, rowsRead: { ...scan.rowsRead, [scanned]: rows } };
  // SKIPPED: the connector died after the last row and before it could say COMPLETED; its next start knows that all was read.
  return type === 'COMPLETED' || type === 'SKIPPED' ? { ...scan, done: tables } : scan;
}

function foldChunk(scan: Scan, table: string, data: Record<string, string>): Scan {
  const chunk = Number(data['chunk_index'] ?? 0);
  if (chunk !== 1 && !scan.begun.includes(table)) return scan;
  const rowsTotal = Number(data['total_rows'] ?? 0);
  const share = Math.min(1, chunk / Math.max(1, Number(data['total_chunks'] ?? 1)));
  return {
    ...scan,
    begun: [...new Set([...scan.begun, table])],
    rowsRead: { ...scan.rowsRead, [table]: Math.round(share * rowsTotal) },
    rowsTotal: { ...scan.rowsTotal, [table]: rowsTotal },
  };
}

function foldScanned(scan: Scan, table: string, data: Record<string, string>): Scan {
  const status = data['status'] ?? '';
  if (status === 'EMPTY') return { ...scan, done: [...new Set([...scan.done, table])] };
  if (!(status === 'SUCCEEDED' ? scan.begun.includes(table) : isOurs(scan, table))) return scan;
  if (status !== 'SUCCEEDED') return { ...scan, failed: `Debezium could not read ${table} (${status}): see logs/connect.log` };
  return { ...scan, done: [...new Set([...scan.done, table])], rowsRead: { ...scan.rowsRead, [table]: scan.rowsTotal[table] ?? 0 } };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
