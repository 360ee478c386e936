import { multiply } from '../amount.ts';
import { cents } from '../columns.ts';
import { names } from '../keys.ts';
import type { CounterContribution, Table } from './table.ts';

export const orderItems: Table = {
  name: 'order_items',
  entity: 'order_item',
  columns: {
    id: 'integer',
    order_id: 'integer',
    product_id: 'integer',
    quantity: 'integer',
    unit_price: 'money',
    created_at: 'timestamp',
  },
  contributions: (row) => {
    const counters: CounterContribution[] = [[names.live('order_items'), 'live', 1]];
    if (row['product_id'] !== null) {
      const product = names.product(String(row['product_id']));
      const quantity = (row['quantity'] ?? 0) as number | bigint;
      counters.push(
        [product, 'items', 1],
        [product, 'sold_units', quantity],
        [product, 'revenue_cents', multiply(quantity, cents(row, 'unit_price'))],
      );
    }
    return { counters, members: [] };
  },
};
