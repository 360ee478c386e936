/**
 * A table as the source has it, or had it. The repository's definition says what the shop had when it was written; columns are
 * added, dropped, renamed and retyped since, and an image must be read by the types it was sent with. Pure.
 */
import { decodeTableEvent, type SourceRecord, type TableEvent } from './change-event.ts';
import { ColumnError, type ColumnType, type ColumnValue } from './columns.ts';
import type { Table } from './tables/table.ts';

/** Column → type as PostgreSQL writes it, such as `numeric(10,2)`. */
export type SourceColumns = Record<string, string>;

const typeOf: Record<string, ColumnType> = {
  'smallint': 'integer',
  'integer': 'integer',
  'bigint': 'integer',
  'numeric': 'money',
  'text': 'text',
  'character varying': 'text',
  'character': 'text',
  'bpchar': 'text',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamp',
};
const modifier = /\([\d,-]+\)/;

/** `table` with the source's columns. What it cannot count without is told by its contributions, row by row. */
export const asInSource = (table: Table, columns: SourceColumns): Table => ({
  ...table,
  columns: Object.fromEntries(Object.entries(columns).map(([name, type]) => [name, typeOf[type.replace(modifier, '')] ?? 'any'])),
});

const samples: Record<ColumnType, ColumnValue> = { integer: 1, text: '', money: '1.00', timestamp: '2026-01-01T00:00:00Z', any: {} };

/** Why no row with these columns can be applied; empty when they can. */
export function whyUncountable({ columns, contributions }: Pick<Table, 'columns' | 'contributions'>): string {
  const taken = Object.keys(columns).find((name) => name.startsWith('_'));
  if (taken !== undefined) return `column ${taken} begins with _, which is the engine's`;
  try {
    contributions(Object.fromEntries(Object.entries(columns).map(([name, type]) => [name, samples[type]])));
    return '';
  } catch (error) {
    if (error instanceof ColumnError) return error.message;
    throw error;
  }
}

/** `table` with no other columns than its contributions read: an image is then taken as it was sent, as long as it can be counted. */
export function onlyCounted(table: Table): Table {
  const without = (name: string): Table['columns'] => Object.fromEntries(Object.entries(table.columns).filter(([other]) => other !== name));
  return { ...table, columns: Object.fromEntries(Object.entries(table.columns).filter(([name]) => whyUncountable({ ...table, columns: without(name) }) !== '')) };
}

/** Whether the event was read by exactly the columns it was sent with, as far as its values can tell. */
export const doesFit = (event: TableEvent): boolean => (event.kind === 'change' ? !event.foreign : event.kind !== 'rejected' || event.reason !== 'bad_column');

/** Decodes by the first version that fits, the newest first; by the newest when none does. */
export function decodeByVersions(versions: readonly Table[], record: SourceRecord, withChanged: boolean): TableEvent {
  const newest = decodeTableEvent(versions[0]!, record, withChanged);
  if (doesFit(newest)) return newest;
  for (let i = 1; i < versions.length; i += 1) {
    const older = decodeTableEvent(versions[i]!, record, withChanged);
    if (doesFit(older)) return older;
  }
  return newest;
}
