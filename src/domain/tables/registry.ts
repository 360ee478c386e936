/** The replicated tables. A new table: docs/extending.md. */
import { customers } from './customers.ts';
import { orderItems } from './order-items.ts';
import { orders } from './orders.ts';
import { products } from './products.ts';
import type { Table } from './table.ts';

export const tables: readonly Table[] = [customers, products, orders, orderItems];

/** Raised whenever a contribution comes to mean something else: then all tables are read again, and older code commits nothing any more. */
export const contributionSpec = 'cdc-1';
