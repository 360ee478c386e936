import type { RuleLimits } from './rule.ts';

/** The settings of the rules, as src/config.ts has them. */
interface RuleSettings {
  HIGH_VALUE_ORDER_THRESHOLD: string;
  BULK_ORDERS_MAX: number;
  STOCK_DEPLETION_UNITS_MAX: number;
  LOW_STOCK_BELOW: number;
  GEO_SHARE_PERCENT: number;
  GEO_CUSTOMERS_MIN: number;
  ORDER_RATE_WARM_MINUTES: number;
}

/** The thresholds of the stream's rules; money in whole cents. */
export function ruleLimits(loaded: RuleSettings): RuleLimits {
  const [whole = '', fraction = ''] = loaded.HIGH_VALUE_ORDER_THRESHOLD.split('.');
  return {
    highValueCents: Number(whole + fraction.padEnd(2, '0')),
    bulkOrdersMax: loaded.BULK_ORDERS_MAX,
    stockDepletionUnitsMax: loaded.STOCK_DEPLETION_UNITS_MAX,
    lowStockBelow: loaded.LOW_STOCK_BELOW,
    geoSharePercent: loaded.GEO_SHARE_PERCENT,
    geoCustomersMin: loaded.GEO_CUSTOMERS_MIN,
    orderRateWarmMinutes: loaded.ORDER_RATE_WARM_MINUTES,
  };
}
