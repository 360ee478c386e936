/**
 * What is true of a table as a whole. Every commit carries the state its batch was computed under and is refused when it
 * has changed: so a sweep, a TRUNCATE and a new generation take effect between batches, never inside one.
 */
import { z } from 'zod';

const tableStateSchema = z.object({
  /** Raised when the table is re-read or its topic began anew; the first part of every row's version. */
  generation: z.int().nonnegative(),
  /** LSN of the last TRUNCATE, decimal text: whatever is older does not exist any more. */
  mark: z.string().regex(/^\d{1,20}$/),
  /** Raised by every chunk of a sweep, so that batches in flight read again. */
  sweeps: z.int().nonnegative(),
});
export type TableState = z.infer<typeof tableStateSchema>;

/** Throws when the text is not a table state; absent means that nothing has happened yet. */
export const parseTableState = (text: string | null): TableState =>
  text === null ? { generation: 0, mark: '0', sweeps: 0 } : tableStateSchema.parse(JSON.parse(text));

export const formatTableState = ({ generation, mark, sweeps }: TableState): string => JSON.stringify({ generation, mark, sweeps });

/**
 * Whether something of this LSN was wiped out by the TRUNCATE. Sound for this one comparison only: TRUNCATE holds the table
 * exclusively, so every change of it lies wholly before or after. An unknown LSN (0) is not older than anything.
 */
export const isBeforeMark = (lsn: string, { mark }: Pick<TableState, 'mark'>): boolean => mark !== '0' && lsn !== '0' && BigInt(lsn) < BigInt(mark);
