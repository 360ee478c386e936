/**
 * Records of one table → events, each read by the columns it was written with.
 * Invariant: of a table that was ever altered, columns that nobody counts never make a dead letter, whatever became of them.
 */
import { decodeTableEvent, type SourceRecord, type TableEvent } from '../../domain/change-event.ts';
import { decodeByVersions, doesFit, onlyCounted } from '../../domain/source-columns.ts';
import type { Table } from '../../domain/tables/table.ts';
import type { SourceSchema } from './source-schema.ts';

export interface Decoded<E> {
  record: SourceRecord;
  event: E;
  /** Transaction of the change; null when it is not known. */
  txId: number | null;
}

export interface DecodedBatch {
  decoded: Decoded<TableEvent>[];
  /** What it was decoded with. */
  versions: readonly Table[];
}

/** `changesMax`: only the last changes are told, so only theirs are compared column by column. */
export async function decodeBatch(table: Table, records: SourceRecord[], changesMax: number, schema?: SourceSchema): Promise<DecodedBatch> {
  const decodeAll = (versions: readonly Table[]): Decoded<TableEvent>[] =>
    records.map((record, i) => toDecoded(record, decodeByVersions(versions, record, i >= records.length - changesMax)));
  const known = schema?.versions(table.name) ?? [table];
  const decoded = decodeAll(known);
  if (!schema || decoded.every(({ event }) => doesFit(event))) return { decoded, versions: known };
  const versions = await schema.refresh(table.name, known);
  const again = versions === known ? decoded : decodeAll(versions);
  if (!schema.isAltered(table.name)) return { decoded: again, versions };
  const counted = onlyCounted(table);
  return { decoded: again.map((one) => (isBadColumn(one.event) ? toDecoded(one.record, decodeTableEvent(counted, one.record)) : one)), versions };
}

/**
 * It may have been written with columns that were there for a moment only. As long as it can be counted it is taken as it was sent: where
 * columns have changed, the table is read again behind it.
 */
const isBadColumn = (event: TableEvent): boolean => event.kind === 'rejected' && event.reason === 'bad_column';

const toDecoded = (record: SourceRecord, event: TableEvent): Decoded<TableEvent> => ({ record, event, txId: 'txId' in event ? event.txId : null });
