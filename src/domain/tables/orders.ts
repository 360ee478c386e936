import { cents, epochMs, integer, label } from '../columns.ts';
import { names } from '../keys.ts';
import type { CounterContribution, Table } from './table.ts';

const live = names.live('orders');

export const orders: Table = {
  name: 'orders',
  entity: 'order',
  columns: {
    id: 'integer',
    customer_id: 'integer',
    order_date: 'timestamp',
    total_amount: 'money',
    status: 'text',
    shipping_address: 'text',
    created_at: 'timestamp',
    updated_at: 'timestamp',
  },
  contributions: (row) => {
    const amount = cents(row, 'total_amount');
    const status = label(row, 'status');
    const counters: CounterContribution[] = [
      [live, 'live', 1],
      [names.ordersByStatus, status, 1],
      [names.revenue, `cents:${status}`, amount],
    ];
    if (status !== 'cancelled') counters.push([names.revenue, 'total_cents', amount]);
    const customer = integer(row, 'customer_id');
    const scoreMs = epochMs(row, 'order_date') ?? 0;
    return {
      counters,
      members: customer === null ? [] : [[names.customerOrders(String(customer)), String(row['id']), scoreMs]],
    };
  },
};
