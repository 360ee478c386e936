import { money, type Finding, type Rule } from './rule.ts';

export interface PlacedOrder {
  orderId: string;
  atMs: number;
  totalCents: number | bigint;
}

export const highValueOrder: Rule<PlacedOrder, Finding | null> = {
  type: 'high_value_order',
  severity: 'MEDIUM',
  entity: 'order',
  description: 'An order costs more than the threshold.',
  settings: ['HIGH_VALUE_ORDER_THRESHOLD'],
  evaluate: ({ orderId, atMs, totalCents }, { highValueCents }) =>
    totalCents > highValueCents ? { atMs, entity: orderId, value: money(totalCents), threshold: money(highValueCents), windowMs: null } : null,
};
