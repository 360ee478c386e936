/**
 * What is staged between the steps of a batch run: files in sets. Histories carry a set's name and counts, never a row.
 * A set is `<runId>/<attempt>/<what>`, a file in it `<table>-<number>.parquet`.
 */

export const batchTables = ['customers', 'products', 'orders', 'order_items'] as const;
export type BatchTable = (typeof batchTables)[number];

/**
 * Columns of the staged Parquet files as DuckDB types. Every row of the source is staged, in no order.
 * Money is whole cents, NULL for NULL and NaN; times are UTC and may be ±infinity; `price_text` is PostgreSQL's own text, such as `39.90` or `NaN`.
 */
export const stagedColumns = {
  customers: { id: 'BIGINT', first_name: 'VARCHAR', last_name: 'VARCHAR', city: 'VARCHAR', state: 'VARCHAR', created_at: 'TIMESTAMP' },
  products: { id: 'BIGINT', name: 'VARCHAR', category: 'VARCHAR', price_text: 'VARCHAR', price_cents: 'BIGINT', stock_quantity: 'BIGINT', created_at: 'TIMESTAMP' },
  orders: { id: 'BIGINT', customer_id: 'BIGINT', order_date: 'TIMESTAMP', total_cents: 'BIGINT', status: 'VARCHAR' },
  order_items: { id: 'BIGINT', order_id: 'BIGINT', product_id: 'BIGINT', quantity: 'BIGINT', unit_price_cents: 'BIGINT' },
} as const satisfies Record<BatchTable, Record<string, string>>;
