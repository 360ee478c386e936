/**
 * Change events of `orders` as Debezium writes them with REPLICA IDENTITY FULL: half inserts, two fifths updates of a status,
 * a tenth deletes, each followed by its tombstone, one a millisecond. The same seed and beginning give the same events.
 */

export interface OrderRecord {
  key: string;
  /** Null in a tombstone. */
  value: string | null;
}

interface Order {
  id: number;
  customer_id: number;
  order_date: string;
  total_amount: string;
  status: string;
  shipping_address: string;
  created_at: string;
  updated_at: string;
}

/** Updates and deletes hit one of this many youngest orders: a batch rarely meets the same order twice, as in a shop. */
const openOrders = 50_000;
const customerCount = 50_000;
const statuses = ['processing', 'shipped', 'delivered', 'cancelled'];
const streets = ['Maple Street', 'Oak Avenue', 'Washington Boulevard', 'Hill Road'];
const cities = ['Springfield, IL 62704', 'Austin, TX 78701', 'Portland, OR 97205', 'New York, NY 10001'];

/** Endless; one event a call, or an event and its tombstone. */
export function* orderEvents(firstMs = Date.UTC(2026, 10, 22, 9), seed = 1): Generator<OrderRecord> {
  const moment = (n: number): string => `${new Date(firstMs + n).toISOString().slice(0, -1)}${String(n % 1000).padStart(3, '0')}Z`;
  const random = randomFrom(seed);
  const pick = (below: number): number => Math.floor(random() * below);
  const live: Order[] = [];
  for (let n = 0, nextId = 1; ; n += 1) {
    const chance = random();
    if (chance < 0.5 || live.length === 0) {
      const at = moment(n);
      const order: Order = {
        id: nextId,
        customer_id: 1 + pick(customerCount),
        order_date: at,
        total_amount: `${pick(900) + 10}.${String(pick(100)).padStart(2, '0')}`,
        status: 'pending',
        shipping_address: `${100 + pick(9000)} ${streets[pick(4)]}, ${cities[pick(4)]}`,
        created_at: at,
        updated_at: at,
      };
      nextId += 1;
      live.push(order);
      yield record('c', n, firstMs + n, null, order);
      continue;
    }
    const at = Math.max(0, live.length - 1 - pick(openOrders));
    const before = live[at]!;
    if (chance < 0.9) {
      const after = { ...before, status: statuses[pick(4)]!, updated_at: moment(n) };
      live[at] = after;
      yield record('u', n, firstMs + n, before, after);
    } else {
      live[at] = live.at(-1)!;
      live.pop();
      yield record('d', n, firstMs + n, before, null);
      yield { key: keyOf(before), value: null };
    }
  }
}

const keyOf = ({ id }: Order): string => `{"id":${id}}`;

function record(op: string, n: number, ms: number, before: Order | null, after: Order | null): OrderRecord {
  const lsn = 24_000_000 + n * 312;
  const source = {
    version: '3.7.0.Final',
    connector: 'postgresql',
    name: 'ecommerce',
    ts_ms: ms,
    snapshot: null,
    db: 'source_db',
    sequence: `["${lsn - 56}","${lsn}"]`,
    ts_us: ms * 1000 + 123,
    ts_ns: '@',
    schema: 'public',
    table: 'orders',
    txId: 1000 + n,
    lsn,
    xmin: null,
    origin: null,
    origin_lsn: null,
  };
  const text = JSON.stringify({ before, after, source, transaction: null, op, ts_ms: ms + 21, ts_us: (ms + 21) * 1000 + 456, ts_ns: '@' });
  // Nanoseconds pass 2^53: written as text.
  return { key: keyOf((after ?? before)!), value: text.replace('"@"', `${ms}123000`).replace('"@"', `${ms + 21}456789`) };
}

/** Mulberry32: small, fast, good enough to choose orders. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
