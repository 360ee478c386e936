/**
 * A table as the source has it now. The repository's definition says what the shop had when it was written; columns are added,
 * dropped and retyped since, and an image must be read by the types it was sent with.
 */
import type { ColumnType } from './columns.ts';
import type { Table } from './tables/table.ts';

/** information_schema's view of one column. */
export interface SourceColumn {
  name: string;
  /** data_type, such as `timestamp without time zone`. */
  type: string;
}

const typeOf: Record<string, ColumnType> = {
  'smallint': 'integer',
  'integer': 'integer',
  'bigint': 'integer',
  'numeric': 'money',
  'text': 'text',
  'character varying': 'text',
  'character': 'text',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamp',
};

/** `table` with the source's columns. What it cannot count without is told by its contributions, row by row. */
export const asInSource = (table: Table, columns: SourceColumn[]): Table => ({
  ...table,
  columns: Object.fromEntries(columns.map(({ name, type }) => [name, typeOf[type] ?? 'any'])),
});
