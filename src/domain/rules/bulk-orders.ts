import type { Finding, Rule } from './rule.ts';
import { minuteMs } from '../stream/minute.ts';
import { crossings, type SlidingEvent } from './sliding-window.ts';

/** The orders of one customer by time, each with amount 1. */
export interface CustomerOrders {
  customerId: string;
  orders: readonly SlidingEvent[];
}

/** Every crossing, the first one first: an episode may begin behind a quiet gap. */
export const bulkOrders: Rule<CustomerOrders, Finding[]> = {
  type: 'bulk_orders',
  severity: 'HIGH',
  entity: 'customer',
  description: 'One customer places more orders than allowed within any 60 s.',
  settings: ['BULK_ORDERS_MAX'],
  evaluate: ({ customerId, orders }, { bulkOrdersMax }) =>
    crossings(orders, bulkOrdersMax, minuteMs).map(({ atMs, total }) => ({
      atMs,
      entity: customerId,
      value: `${total} orders`,
      threshold: `${bulkOrdersMax} orders`,
      windowMs: minuteMs,
    })),
};
