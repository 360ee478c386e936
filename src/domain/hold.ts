/**
 * A hold: verify asks the consumers to stop before the first event that its database snapshot does not see.
 * Protocol: verify writes a Hold to `keys.hold` with an expiry of at most 5 s. A partition that meets an event that is not
 * visible stops before it and reports `keys.held` `<topic>-<partition>` = token; a drained one has nothing to report and
 * goes on polling. When the key is gone or holds another token, the partition goes on.
 */
import { z } from 'zod';

const xid = z.string().regex(/^\d{1,20}$/);
/** `token` names the hold; the rest is `pg_current_snapshot()`: 64-bit transaction ids as text. */
const holdSchema = z.object({ token: z.string().min(1), xmin: xid, xmax: xid, xip: z.array(xid) });
export type Hold = z.infer<typeof holdSchema>;

/** The hold in `keys.hold`; null when there is none. Anything else under that key is no hold, and stops nobody. */
export function parseHold(text: string | null): Hold | null {
  if (text === null) return null;
  try {
    return holdSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** `xmin:xmax:xip,…`, the text of PostgreSQL's pg_snapshot → a hold. */
export function parseSnapshot(token: string, text: string): Hold {
  const [xmin, xmax, xip] = text.split(':');
  return holdSchema.parse({ token, xmin, xmax, xip: xip ? xip.split(',') : [] });
}

/**
 * Whether the snapshot sees the transaction with this 32-bit id (Debezium's `source.txId`). An id without its epoch means
 * the one nearest to the snapshot's end: ids in use never span more than half the 32-bit circle.
 */
export function isVisible(txId: number, hold: Hold): boolean {
  const xmax = BigInt(hold.xmax);
  const ahead = BigInt.asIntN(32, BigInt(txId) - xmax);
  const full = xmax + ahead;
  return full < BigInt(hold.xmin) || (full < xmax && !hold.xip.includes(full.toString()));
}
