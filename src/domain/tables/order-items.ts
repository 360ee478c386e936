import { multiply } from '../amount.ts';
import { cents, integer } from '../columns.ts';
import { names } from '../keys.ts';
import type { CounterContribution, Table } from './table.ts';

const live = names.live('order_items');

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
    const counters: CounterContribution[] = [[live, 'live', 1]];
    const productId = integer(row, 'product_id');
    const quantity = integer(row, 'quantity') ?? 0;
    const revenue = multiply(quantity, cents(row, 'unit_price'));
    if (productId !== null) {
      const product = names.product(String(productId));
      counters.push(
        [product, 'items', 1],
        [product, 'sold_units', quantity],
        [product, 'revenue_cents', revenue],
      );
    }
    return { counters, members: [] };
  },
};
