/**
 * Which alerts there must be, by SQL over what was written to the source, and whether there are exactly these: one workflow each, and at
 * every channel exactly their notices. Triggers keep what the shop removes again. Shares no code with the rules.
 */
import { Client, Connection } from '@temporalio/client';
import type { Received } from './alert-receiver.ts';
import { until, type TestStack } from './stack.ts';

const journal = `
  CREATE SCHEMA journal;
  CREATE TABLE journal.orders (id int, customer_id int, at timestamp, cents bigint);
  CREATE TABLE journal.sales (product_id int, at timestamp, units int);
  CREATE TABLE journal.stock (n bigserial, product_id int, before int, after int, at timestamptz DEFAULT clock_timestamp());
  CREATE FUNCTION journal.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
  BEGIN
    CASE TG_TABLE_NAME
      WHEN 'orders' THEN INSERT INTO journal.orders VALUES (NEW.id, NEW.customer_id, NEW.order_date, NEW.total_amount * 100);
      WHEN 'order_items' THEN INSERT INTO journal.sales VALUES (NEW.product_id, NEW.created_at, NEW.quantity);
      WHEN 'products' THEN INSERT INTO journal.stock (product_id, before, after) VALUES (coalesce(NEW.id, OLD.id), OLD.stock_quantity, NEW.stock_quantity);
    END CASE;
    RETURN NULL;
  END $$;
  INSERT INTO journal.orders SELECT id, customer_id, order_date, 0 FROM orders; -- read by the snapshot: in the windows, but no news
  INSERT INTO journal.sales SELECT product_id, created_at, quantity FROM order_items;
  CREATE TRIGGER journal AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION journal.note();
  CREATE TRIGGER journal AFTER INSERT ON order_items FOR EACH ROW EXECUTE FUNCTION journal.note();
  CREATE TRIGGER journal AFTER INSERT OR UPDATE OF stock_quantity OR DELETE ON products FOR EACH ROW EXECUTE FUNCTION journal.note();`;

/** Crossings of one entity that are no further apart than the gap are one alert, which bears the time of one of them: partitions come in any order. */
const expectedSql = `
  WITH o AS (SELECT id, customer_id, cents, floor(extract(epoch FROM at) * 1000)::bigint AS ms FROM journal.orders),
  s AS (SELECT product_id, units, floor(extract(epoch FROM at) * 1000)::bigint AS ms FROM journal.sales),
  crossings AS (
    SELECT 'bulk_orders' AS type, customer_id AS entity, ms FROM (
      SELECT customer_id, ms, count(*) OVER (PARTITION BY customer_id ORDER BY ms RANGE BETWEEN 60000 PRECEDING AND CURRENT ROW) AS orders FROM o
    ) x WHERE orders > $1
    UNION ALL
    SELECT 'rapid_stock_depletion', product_id, ms FROM (
      SELECT product_id, ms, sum(units) OVER (PARTITION BY product_id ORDER BY ms RANGE BETWEEN 60000 PRECEDING AND CURRENT ROW) AS sold FROM s
    ) x WHERE sold > $2
    UNION ALL
    SELECT 'high_value_order', id, ms FROM o WHERE cents > $3
  ), begun AS (
    SELECT *, CASE WHEN ms - lag(ms) OVER (PARTITION BY type, entity ORDER BY ms) <= $5 THEN 0 ELSE 1 END AS first FROM crossings
  ), episodes AS (
    SELECT *, sum(first) OVER (PARTITION BY type, entity ORDER BY ms) AS episode FROM begun
  )
  SELECT type, entity::text, min(ms)::float8 AS "fromMs", array_agg(ms::float8) AS times, false AS over FROM episodes GROUP BY type, entity, episode
  UNION ALL
  SELECT 'low_stock', product_id::text, extract(epoch FROM at)::float8 * 1000, NULL,
         EXISTS (SELECT FROM journal.stock later WHERE later.product_id = low.product_id AND later.n > low.n AND coalesce(later.after >= $4, true))
  FROM journal.stock low WHERE after < $4 AND coalesce(before >= $4, true)
  ORDER BY 1, 2, 3`;

interface Expected {
  type: string;
  entity: string;
  fromMs: number;
  /** The event times it may bear; null for a change of stock, whose time is that of its commit. */
  times: number[] | null;
  /** Its cause is over. */
  over: boolean;
}

/** To be called while nobody writes. */
export const keepJournal = (stack: TestStack): Promise<unknown> => stack.db.query(journal);

export function expectedAlerts({ db, settings }: TestStack): Promise<Expected[]> {
  const cents = Math.round(Number(settings.HIGH_VALUE_ORDER_THRESHOLD) * 100);
  return db.query<Expected>(expectedSql, [settings.BULK_ORDERS_MAX, settings.STOCK_DEPLETION_UNITS_MAX, cents, settings.LOW_STOCK_BELOW, settings.ALERT_GAP_SECONDS * 1000]);
}

/** Every run of an alert workflow that there ever was, by id. */
async function workflowIds({ settings }: TestStack): Promise<string[]> {
  const connection = await Connection.connect({ address: `127.0.0.1:${settings.TEMPORAL_PORT}`, connectTimeout: '3 seconds' });
  try {
    const ids: string[] = [];
    for await (const { workflowId } of new Client({ connection }).workflow.list({ query: "WorkflowType = 'alertLifecycle'" })) ids.push(workflowId);
    return ids;
  } finally {
    await connection.close();
  }
}

const commitMsMost = 10_000;
const bears = ({ type, entity, fromMs, times }: Expected, id: string): boolean => {
  const episode = Number(id.slice(id.lastIndexOf('/') + 1));
  return id.startsWith(`alert/${type}/${entity}/`) && (times ? times.includes(episode) : episode >= fromMs - 1 && episode < fromMs + commitMsMost);
};

/** What each channel must have taken about an alert; of one that was over before anybody was told, nothing may be as right. */
function noticesOf({ type, over }: Expected): string[] {
  if (type === 'low_stock') return over ? ['opened', 'resolved'] : ['opened'];
  return type === 'high_value_order' ? ['opened'] : ['opened', 'escalated-2', 'escalated-3'];
}

export interface Channel {
  name: string;
  /** All that it ever got, attempts that it refused included. */
  received: () => Received[];
}

const keyOf = ({ headers }: Received): string => decodeURI(String(headers['idempotency-key']));
const isTaken = ({ answer }: Received): boolean => answer === 204;

/** What differs; empty when all is as it must be. */
async function differences(stack: TestStack, channels: Channel[]): Promise<string[]> {
  const expected = await expectedAlerts(stack);
  const left = new Set(expected);
  const ids = (await workflowIds(stack)).sort((a, b) => a.localeCompare(b));
  const found: string[] = [];
  const keys = new Map<string, Expected>();
  for (const id of ids) {
    const one = [...left].find((alert) => bears(alert, id));
    if (!one) found.push(`${id} is not expected`);
    else {
      left.delete(one);
      keys.set(id, one);
    }
  }
  for (const { type, entity, fromMs } of left) found.push(`no workflow for ${type} of ${entity} at ${fromMs}`);
  for (const { name, received } of channels) {
    const taken = new Set(received().filter(isTaken).map(keyOf));
    for (const [id, alert] of keys) {
      const wanted = noticesOf(alert).map((notice) => `${id}/${notice}`);
      const isUntold = alert.over && !wanted.some((key) => taken.has(key));
      if (!isUntold) found.push(...wanted.filter((key) => !taken.has(key)).map((key) => `${name} has not taken ${key}`));
      for (const key of wanted) taken.delete(key);
    }
    found.push(...[...taken].map((key) => `${name} took ${key}, which is not expected`), ...changedBodies(received()).map((key) => `${name} got two bodies under ${key}`));
  }
  return found;
}

/** Keys under which different bodies came. */
function changedBodies(received: Received[]): string[] {
  const bodies = new Map<string, string>();
  return received.flatMap((one) => {
    const key = keyOf(one);
    const known = bodies.get(key);
    bodies.set(key, known ?? one.body);
    return known === undefined || known === one.body ? [] : [key];
  });
}

/** Waits until workflows and notices are exactly the expected ones; says how many, by type, and how many attempts it took. */
export async function assertAlertsExact(stack: TestStack, channels: Channel[], deadlineMs = 180_000): Promise<string> {
  let found: string[] = [];
  await until('alerts are exact', async () => (found = await differences(stack, channels)).length === 0, deadlineMs, 1000).catch((error: Error) => {
    throw new Error(`${error.message}: ${found.slice(0, 12).join('; ')}${found.length > 12 ? `; and ${found.length - 12} more` : ''}`);
  });
  const counts = new Map<string, number>();
  for (const { type } of await expectedAlerts(stack)) counts.set(type, (counts.get(type) ?? 0) + 1);
  const told = channels.map(({ name, received }) => `${name}: ${new Set(received().map(keyOf)).size} notices in ${received().length} attempts`);
  return [...[...counts].map(([type, count]) => `${count} ${type}`), ...told].join(', ');
}
