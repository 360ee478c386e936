import type { Finding, Rule } from './rule.ts';
import { minuteMs } from '../stream/minute.ts';

/** New customers of one closed minute by state; those without a state under the empty name. */
export interface CustomersMinute {
  startMs: number;
  byState: Readonly<Record<string, number>>;
}

/** Customers without a state count towards all, and never are the state. The finding's time is the minute's beginning. */
export const geographicAnomaly: Rule<CustomersMinute, Finding | null> = {
  type: 'geographic_anomaly',
  severity: 'LOW',
  entity: 'state',
  description: 'More than the given share of the new customers of a closed minute, if there are enough of them, come from one state.',
  settings: ['GEO_SHARE_PERCENT', 'GEO_CUSTOMERS_MIN'],
  evaluate: ({ startMs, byState }, { geoSharePercent, geoCustomersMin }) => {
    const total = Object.values(byState).reduce((sum, customers) => sum + customers, 0);
    const [first] = Object.entries(byState)
      .filter(([state]) => state !== '')
      .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
    if (first === undefined || total < geoCustomersMin) return null;
    const [state, customers] = first;
    if (customers * 100 <= geoSharePercent * total) return null;
    return { atMs: startMs, entity: state, value: `${customers} of ${total} new customers`, threshold: `${geoSharePercent} %`, windowMs: minuteMs };
  },
};
