/** The rules over any 60 s: what a sorted set of recent events says. Pure. */
import type { AlertDraft } from '../../domain/alert-draft.ts';
import { bulkOrders } from '../../domain/rules/bulk-orders.ts';
import { rapidStockDepletion } from '../../domain/rules/rapid-stock-depletion.ts';
import type { RuleLimits } from '../../domain/rules/rule.ts';
import type { SlidingEvent } from '../../domain/rules/sliding-window.ts';
import { recentOrders, recentUnits } from '../../domain/stream/tables.ts';

/** `flat`: members and scores in turn, by score. */
export function judgeSlidingWindow(set: string, flat: string[], origin: string, limits: RuleLimits): AlertDraft[] {
  const entity = set.slice(set.lastIndexOf(':') + 1);
  const isOrders = set === recentOrders(entity);
  if (!isOrders && set !== recentUnits(entity)) return [];
  const events = flat.flatMap((member, at): SlidingEvent[] => (at % 2 === 0 ? [{ id: member, atMs: Number(flat[at + 1]), amount: isOrders ? 1 : unitsOf(member) }] : []));
  const rule = isOrders ? bulkOrders : rapidStockDepletion;
  const findings = isOrders ? bulkOrders.evaluate({ customerId: entity, orders: events }, limits) : rapidStockDepletion.evaluate({ productId: entity, sales: events }, limits);
  return findings.map((finding) => ({ type: rule.type, severity: rule.severity, finding, resolved: false, origin }));
}

/** Of `<item>:<quantity>`; what is taken back is no sale. */
const unitsOf = (member: string): number => Math.max(0, Number(member.slice(member.lastIndexOf(':') + 1)));
