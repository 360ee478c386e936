import { alertScore, createDetector, type Verdict } from '../detector/detector.ts';
import type { DetectorState } from '../detector/state.ts';
import { money, type Finding, type Rule } from './rule.ts';
import { minuteMs } from '../stream/minute.ts';

/** What was learnt so far; JSON. */
export interface OrderRateState {
  orders: DetectorState;
  revenue: DetectorState;
}

/** Totals of one closed minute. Minutes come in order and without holes: one without orders is one with zeros, or silence has no voice. */
export interface OrdersMinute {
  startMs: number;
  orders: number;
  revenueCents: number | bigint;
  learnt: OrderRateState | null;
}

export interface OrderRateOutcome {
  /** At most one for orders and one for revenue. */
  findings: Finding[];
  /** Null for as long as there were no orders. */
  learnt: OrderRateState | null;
}

/** Larger or stuck errors are no matter for an alert: the rule is about the band. */
const reasons = ['above', 'below', 'shifted'];

export const orderRate: Rule<OrdersMinute, OrderRateOutcome> = {
  type: 'order_rate',
  severity: 'HIGH',
  entity: 'measure',
  description: 'Orders or revenue of a closed minute leave the band that was learnt from the minutes before (robust, seasonal); also silence.',
  settings: ['ORDER_RATE_WARM_MINUTES'],
  evaluate: ({ startMs, orders, revenueCents, learnt }, { orderRateWarmMinutes: warmPoints }) => {
    if (learnt === null && orders === 0) return { findings: [], learnt: null };
    const ordersDetector = createDetector({ noise: 'counts', warmPoints }, learnt?.orders);
    const revenueDetector = createDetector({ warmPoints }, learnt?.revenue);
    const state = (): OrderRateState => ({ orders: ordersDetector.state(), revenue: revenueDetector.state() });
    if (learnt === null) return { findings: [], learnt: state() }; // the minute in which selling began is not whole: learning it would make the band wide for hours
    const cents = Number(revenueCents);
    const ordersVerdict = ordersDetector.observe({ timestampMs: startMs, value: orders });
    const revenueVerdict = revenueDetector.observe({ timestampMs: startMs, value: cents });
    const findings = [
      ...found(startMs, 'orders', ordersVerdict, orders === 0 ? 'silence' : `${orders} orders`, (value) => `${Math.round(value)}`),
      ...found(startMs, 'revenue', revenueVerdict, money(revenueCents), (value) => money(Math.round(value))),
    ];
    return { findings, learnt: state() };
  },
};

function found(atMs: number, entity: string, { score, reason, expected }: Verdict, value: string, text: (value: number) => string): Finding[] {
  if (score < alertScore || expected === null || !reasons.includes(reason)) return [];
  return [{ atMs, entity, value, threshold: `${text(Math.max(0, expected.low))} to ${text(Math.max(0, expected.high))}`, windowMs: minuteMs }];
}
