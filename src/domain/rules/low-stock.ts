import type { Finding, Rule } from './rule.ts';

/** One change of a product; `before` is null when it is not known (a new row), `after` when the stock is NULL. */
export interface StockChange {
  productId: string;
  atMs: number;
  before: number | null;
  after: number | null;
}

export type LowStockOutcome = { kind: 'fired'; finding: Finding } | { kind: 'resolved'; atMs: number } | null;

/**
 * Fires on the way down only, so a product that goes on selling fires once. Every way up that ends at the threshold or above resolves, also from
 * there (the threshold may have been higher when it fired); twice does no harm.
 */
export const lowStock: Rule<StockChange, LowStockOutcome> = {
  type: 'low_stock',
  severity: 'MEDIUM',
  entity: 'product',
  description: 'The stock of a product falls below the threshold, or a new product begins below it; resolved when it is restocked.',
  settings: ['LOW_STOCK_BELOW'],
  evaluate: ({ productId, atMs, before, after }, { lowStockBelow }) => {
    if (after === null) return null;
    const isLow = after < lowStockBelow;
    if (!isLow) return before === null || before < after ? { kind: 'resolved', atMs } : null;
    if (before !== null && before < lowStockBelow) return null;
    return { kind: 'fired', finding: { atMs, entity: productId, value: `${after} units`, threshold: `${lowStockBelow} units`, windowMs: null } };
  },
};
