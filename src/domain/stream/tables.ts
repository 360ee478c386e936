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

/** Sorted sets by event time: orders of a customer, of today and yesterday; items of a product as `<item>:<quantity>`, of the last minutes. */
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
    const time = timeOf(row, 'created_at');
    if (time === null) return nothing;
    const { atMs, minute } = time;
    return { counters: [[names.window(minute), 'new_customers', 1], [names.newCustomers(minute), label(row, 'state'), 1]], members: [], facts: { atMs } };
  }),
  inStream(products, (row) => {
    const stock = integer(row, 'stock_quantity');
    return { counters: [], members: stock === null ? [] : [[stockSet, String(row['id']), Number(stock)]] };
  }),
  inStream(orders, (row) => {
    const time = timeOf(row, 'order_date', 'created_at');
    if (time === null) return nothing;
    const { atMs, minute } = time;
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
    const time = timeOf(row, 'created_at');
    if (time === null) return nothing;
    const { atMs, minute } = time;
    const quantity = integer(row, 'quantity') ?? 0;
    const counters: CounterContribution[] = [[names.window(minute), 'units', quantity]];
    const product = integer(row, 'product_id');
    if (product === null) return { counters, members: [], facts: { atMs } };
    counters.push([names.velocity(String(product)), minute, quantity]);
    return { counters, members: [[recentUnits(String(product)), `${String(row['id'])}:${quantity}`, atMs]], facts: { atMs } };
  }),
];

/** The last millisecond of the year 9999: a minute beyond it has no name. */
const lastMs = 253_402_300_799_999;

/** Event time and its minute, by the first of the columns that holds a time. */
function timeOf(row: Row, ...columns: string[]): { atMs: number; minute: string } | null {
  for (const column of columns) {
    const atMs = epochMs(row, column);
    if (atMs === null || atMs > lastMs) continue; // as if it were infinite
    const minute = minuteOf(atMs);
    return minute === null ? null : { atMs, minute };
  }
  return null;
}
