/**
 * Large values that PostgreSQL did not send because the update left them alone (TOAST). With REPLICA IDENTITY FULL none is
 * left out. Invariant: a placeholder never reaches a row; the value is the one the row has, or the event is not applied.
 */
import type { Rejected, RowChange } from './change-event.ts';
import { ColumnError, unavailableValue, type Row } from './columns.ts';
import { parseJson, stringifyJson } from './json.ts';
import type { Table } from './tables/table.ts';

const asBase64 = Buffer.from(unavailableValue).toString('base64');

/** The placeholder in the shapes Debezium gives it: text, bytes, array, map. */
export function isUnavailable(value: unknown): boolean {
  if (typeof value === 'string') return value === unavailableValue || value === asBase64;
  if (typeof value !== 'object' || value === null) return false;
  return Array.isArray(value) ? value.length === 1 && isUnavailable(value[0]) : Object.keys(value).length === 1 && isUnavailable(Object.keys(value)[0]);
}

/**
 * The event with every value that was not sent taken from the image before; rejected where that does not tell it. `beforeText`: the row's last
 * image, the engine's members among its columns or not; null when there is none, or when it is not known to be the last.
 */
export function fillUnavailable(table: Table, event: RowChange, beforeText: string | null): RowChange | Rejected {
  if (event.unavailable.length === 0) return event;
  const { offset, op, id, replay } = event;
  const rejected = (reason: 'unavailable_value' | 'bad_column', detail: string): Rejected => ({ kind: 'rejected', offset, ...(replay && { replay }), op, id, reason, detail });
  const before = beforeText ? (parseJson(beforeText) as Row) : undefined;
  const missing = event.unavailable.find((column) => before?.[column] === undefined);
  if (missing !== undefined) return rejected('unavailable_value', `column ${missing} was not sent and is not known: set REPLICA IDENTITY FULL on ${table.name}`);
  const row: Row = { ...(parseJson(event.image!) as Row), ...Object.fromEntries(event.unavailable.map((column) => [column, before![column]!])) };
  try {
    return { ...event, image: stringifyJson(row), contributions: table.contributions(row), unavailable: [] };
  } catch (error) {
    if (error instanceof ColumnError) return rejected('bad_column', error.message);
    throw error;
  }
}
