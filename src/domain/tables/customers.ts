import { label } from '../columns.ts';
import { names } from '../keys.ts';
import type { Table } from './table.ts';

const live = names.live('customers');

export const customers: Table = {
  name: 'customers',
  entity: 'customer',
  columns: {
    id: 'integer',
    first_name: 'text',
    last_name: 'text',
    email: 'text',
    phone: 'text',
    address: 'text',
    city: 'text',
    state: 'text',
    zip_code: 'text',
    created_at: 'timestamp',
    updated_at: 'timestamp',
  },
  contributions: (row) => ({
    counters: [
      [live, 'live', 1],
      [names.customersByState, label(row, 'state'), 1],
    ],
    members: [],
  }),
};
