/**
 * What a batch gives the anomaly rules to look at, written in the commit that applies it: findings that one change shows by itself, the
 * names of sliding windows that have changed, and how much of a minute is no news. Snapshot reads fill windows and are none, but for a
 * stock that is not low any more. Pure.
 */
import type { RowChange, TableEvent } from '../change-event.ts';
import type { AlertDraft } from '../alert-draft.ts';
import { names, rowName } from '../keys.ts';
import { highValueOrder } from '../rules/high-value-order.ts';
import { lowStock } from '../rules/low-stock.ts';
import type { RuleLimits } from '../rules/rule.ts';
import type { StoredRow } from '../stored-row.ts';
import type { Contributions, Table } from '../tables/table.ts';
import { windowKeptMs } from './expiry.ts';
import { recentOrders, recentUnits, stockSet } from './tables.ts';

/** Hashes of what the rules are still to look at. */
export const watched = { outbox: 'stream:outbox', touched: 'stream:touched' } as const;

export interface Touches {
  /** `<sorted set>` → origin of the last change that has put something into it, commit time of the first. */
  sliding: Map<string, { origin: string; commitMs: number }>;
  findings: AlertDraft[];
  /** `stream:read:customers:<minute>` → state → customers that a snapshot was the first to tell of. */
  read: Map<string, Map<string, number>>;
}

export interface TouchInput {
  table: Pick<Table, 'name' | 'entity'>;
  events: readonly TableEvent[];
  /** Row name → what was stored before the batch. */
  stored: ReadonlyMap<string, StoredRow>;
  /** `<topic>-<partition>`. */
  partition: string;
  limits: RuleLimits;
}

export function touchesOf({ table, events, stored, partition, limits }: TouchInput): Touches {
  const touches: Touches = { sliding: new Map(), findings: [], read: new Map() };
  /** Row → what it contributed after the last of its events that was looked at. */
  const latest = new Map<string, Contributions>();
  for (const event of events) {
    if (event.kind !== 'change' || event.replay) continue;
    const origin = `${partition}:${event.offset}`;
    const before = latest.get(event.id) ?? stored.get(rowName(table.entity, event.id))?.contributions;
    latest.set(event.id, event.contributions);
    for (const [set, member, score] of event.op === 'r' ? [] : event.contributions.members) {
      if (!set.startsWith(recentOrders('')) && !set.startsWith(recentUnits(''))) continue;
      const isIn = before?.members.some(([one, known, at]) => one === set && known === member && at === score);
      if (!isIn) touches.sliding.set(set, { origin, commitMs: Math.min(event.commitMs, touches.sliding.get(set)?.commitMs ?? event.commitMs) });
    }
    if (event.op === 'r' && before === undefined && table.name === 'customers') countRead(event, touches.read);
    const finding = table.name === 'orders' ? highValue(event, before, limits) : table.name === 'products' ? stock(event, before, limits) : null;
    if (finding) touches.findings.push({ ...finding, origin });
  }
  return touches;
}

/** In minutes that are kept: a history of any length is read. */
function countRead({ commitMs, contributions: { counters, facts } }: RowChange, read: Touches['read']): void {
  if (commitMs - Number(facts?.['atMs'] ?? 0) >= windowKeptMs) return;
  const newCustomers = names.newCustomers('');
  for (const [hash, state] of counters) {
    if (!hash.startsWith(newCustomers)) continue;
    const name = names.readCustomers(hash.slice(newCustomers.length));
    const states = read.get(name) ?? new Map<string, number>();
    read.set(name, states.set(state, (states.get(state) ?? 0) + 1));
  }
}

type Draft = Omit<AlertDraft, 'origin'>;

/** An order that was over the threshold before is no news. */
function highValue({ id, op, contributions }: RowChange, before: Contributions | undefined, limits: RuleLimits): Draft | null {
  if (op === 'r') return null;
  const { atMs, cents } = contributions.facts ?? {};
  const finding = typeof atMs === 'number' ? highValueOrder.evaluate({ orderId: id, atMs, totalCents: cents ?? 0 }, limits) : null;
  const known = before?.counters.find(([, field]) => field === 'revenue_cents')?.[2];
  if (!finding || (known !== undefined && known > limits.highValueCents)) return null;
  return { type: highValueOrder.type, severity: highValueOrder.severity, finding, resolved: false };
}

/** The stock a row remembers is the score of its member. A product that is gone is not low any more. */
function stock({ id, op, commitMs, contributions }: RowChange, before: Contributions | undefined, limits: RuleLimits): Draft | null {
  const known = before?.members.find(([set]) => set === stockSet)?.[2] ?? null;
  const after = contributions.members.find(([set]) => set === stockSet)?.[2] ?? null;
  const outcome = op === 'd' ? ({ kind: 'resolved', atMs: commitMs } as const) : lowStock.evaluate({ productId: id, atMs: commitMs, before: known, after }, limits);
  if (outcome === null || (op === 'r' && (known === null || outcome.kind === 'fired'))) return null;
  const { type, severity } = lowStock;
  if (outcome.kind === 'fired') return { type, severity, finding: outcome.finding, resolved: false };
  return { type, severity, resolved: true, finding: { atMs: outcome.atMs, entity: id, value: after === null ? 'removed' : `${after} units`, threshold: `${limits.lowStockBelow} units`, windowMs: null } };
}
