import { label } from '../columns.ts';
import { names } from '../keys.ts';
import type { Table } from './table.ts';

const live = names.live('products');

export const products: Table = {
  name: 'products',
  entity: 'product',
  columns: {
    id: 'integer',
    name: 'text',
    description: 'text',
    price: 'money',
    category: 'text',
    stock_quantity: 'integer',
    created_at: 'timestamp',
    updated_at: 'timestamp',
  },
  contributions: (row) => ({
    counters: [
      [live, 'live', 1],
      [names.productsByCategory, label(row, 'category'), 1],
    ],
    members: [],
  }),
};
