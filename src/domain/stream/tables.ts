/**
 * What each row contributes to the stream's windows of event time. A row remembers it, so an update, a cancellation or a delete
 * corrects the minute it belongs to. The event time of an order is its order_date, otherwise its created_at. Pure.
 */
import { cents, epochMs, integer, label, type Row } from '../columns.ts';
import { names } from '../keys.ts';
import { customers } from '../tables/customers.ts';
import { orderItems } from '../tables/order-items.ts';
import { orders } from '../tables/orders.ts';
import { products } from '../tables/products.ts';
import type { CounterContribution, Contributions, Table } from '../tables/table.ts';
import { minuteOf } from './minute.ts';

const nothing: Contributions = { counters: [], members: [] };

/** Sorted sets by event time, for rules over any 60 s: orders of a customer; items of a product as `<item>:<quantity>`. */
export const recentOrders = (customer: string): string => `stream:recent:orders:${customer}`;
export const recentUnits = (product: string): string => `stream:recent:units:${product}`;
/** Products by stock. */
export const stockSet = 'stream:stock';

/** The same table with a memory of its own, and its events counted apart. */
const inStream = (table: Table, contributions: Table['contributions']): Table => ({
  ...table,
  entity: `stream:${table.entity}`,
  counts: { events: names.streamStats(table.name), changes: null },
  contributions,
});

export const streamTables: readonly Table[] = [
  inStream(customers, (row) => {
    const minute = minuteIn(row, 'created_at');
    if (minute === null) return nothing;
    return { counters: [[names.window(minute), 'new_customers', 1], [names.newCustomers(minute), label(row, 'state'), 1]], members: [] };
  }),
  inStream(products, (row) => {
    const stock = integer(row, 'stock_quantity');
    return { counters: [], members: stock === null ? [] : [[stockSet, String(row['id']), Number(stock)]] };
  }),
  inStream(orders, (row) => {
    const atMs = epochMs(row, 'order_date') ?? epochMs(row, 'created_at');
    const minute = atMs === null ? null : minuteOf(atMs);
    if (atMs === null || minute === null) return nothing;
    const window = names.window(minute);
    const amount = cents(row, 'total_amount');
    const isCancelled = label(row, 'status') === 'cancelled';
    const counters: CounterContribution[] = [[window, 'orders', 1], [window, isCancelled ? 'orders_cancelled' : 'revenue_cents', isCancelled ? 1 : amount]];
    const customer = integer(row, 'customer_id');
    if (customer !== null) {
      const activity = names.activity(String(customer));
      const day = minute.slice(0, 8);
      counters.push([activity, `${day}:orders`, 1]);
      if (!isCancelled) counters.push([activity, `${day}:cents`, amount]);
    }
    return { counters, members: customer === null ? [] : [[recentOrders(String(customer)), String(row['id']), atMs]], facts: { atMs, cents: amount } };
  }),
  inStream(orderItems, (row) => {
    const minute = minuteIn(row, 'created_at');
    const quantity = integer(row, 'quantity') ?? 0;
    if (minute === null) return nothing;
    const counters: CounterContribution[] = [[names.window(minute), 'units', quantity]];
    const product = integer(row, 'product_id');
    if (product === null) return { counters, members: [] };
    counters.push([names.velocity(String(product)), minute, quantity]);
    return { counters, members: [[recentUnits(String(product)), `${String(row['id'])}:${quantity}`, epochMs(row, 'created_at')!]] };
  }),
];

function minuteIn(row: Row, column: string): string | null {
  const ms = epochMs(row, column);
  return ms === null ? null : minuteOf(ms);
}
