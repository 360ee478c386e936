import type { Finding, Rule } from './rule.ts';
import { minuteMs } from '../stream/minute.ts';
import { crossings, type SlidingEvent } from './sliding-window.ts';

/** The order items of one product by time, each with its units (not negative) as amount. */
export interface ProductSales {
  productId: string;
  sales: readonly SlidingEvent[];
}

/** Every crossing, the first one first: an episode may begin behind a quiet gap. */
export const rapidStockDepletion: Rule<ProductSales, Finding[]> = {
  type: 'rapid_stock_depletion',
  severity: 'HIGH',
  entity: 'product',
  description: 'One product sells more units than allowed within any 60 s.',
  settings: ['STOCK_DEPLETION_UNITS_MAX'],
  evaluate: ({ productId, sales }, { stockDepletionUnitsMax }) =>
    crossings(sales, stockDepletionUnitsMax, minuteMs).map(({ atMs, total }) => ({
      atMs,
      entity: productId,
      value: `${total} units`,
      threshold: `${stockDepletionUnitsMax} units`,
      windowMs: minuteMs,
    })),
};
