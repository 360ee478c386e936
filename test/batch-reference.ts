/**
 * What a batch run has to find, worked out row by row from the rules as the design words them: no SQL, and percentiles by
 * linear interpolation in exact fractions. Shares no code with what it judges.
 */
import type { StagedShop, Time } from './staged-shop.ts';

type Members = [name: string, value: unknown][];

export interface Expected {
  customers: Map<string, Members>;
  products: Map<string, Members>;
  orders: Map<string, Members>;
  insights: object;
}

interface Fraction {
  over: bigint;
  /** Above zero. */
  under: bigint;
}

const whole = (over: bigint): Fraction => ({ over, under: 1n });
const compare = (a: Fraction, b: Fraction): number => Number(a.over * b.under - b.over * a.under > 0n) - Number(a.over * b.under - b.over * a.under < 0n);

/** Linear interpolation between the two values around the place `fifths`/5 × (n - 1). */
function percentile(values: Fraction[], fifths: number): Fraction {
  const sorted = [...values].sort(compare);
  const place = fifths * (sorted.length - 1);
  const low = sorted[Math.floor(place / 5)]!;
  const high = sorted[Math.ceil(place / 5)]!;
  const part = BigInt(place % 5);
  return { over: low.over * (5n - part) * high.under + high.over * part * low.under, under: 5n * low.under * high.under };
}

const reaches = (value: Fraction, cutoff: Fraction): boolean => compare(value, cutoff) >= 0;
const sum = (values: bigint[]): bigint => values.reduce((total, value) => total + value, 0n);
const abs = (n: bigint): bigint => (n < 0n ? -n : n);

/** Halves away from zero. */
function divide(over: bigint, under: bigint): bigint {
  const twice = (2n * abs(over)) / abs(under);
  const nearest = (twice + 1n) / 2n;
  return over < 0n === under < 0n ? nearest : -nearest;
}

function decimal(n: bigint, places: number): string {
  const digits = abs(n).toString().padStart(places + 1, '0');
  return `${n < 0n ? '-' : ''}${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

const money = (cents: bigint): string => decimal(cents, 2);

function isoTime(time: bigint): string {
  const ms = (time - (((time % 1000n) + 1000n) % 1000n)) / 1000n;
  const date = new Date(Number(ms));
  const year = date.getUTCFullYear();
  const day = `${year < 0 ? '-' : ''}${String(Math.abs(year)).padStart(4, '0')}${date.toISOString().slice(-20, -14)}`;
  const fraction = (((time % 1_000_000n) + 1_000_000n) % 1_000_000n).toString().padStart(6, '0').replace(/0+$/, '');
  return `${day}T${date.toISOString().slice(-13, -5)}${fraction && `.${fraction}`}Z`;
}

function tally(labels: string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return Object.fromEntries(counts);
}

const isThere = (createdAt: Time, end: bigint): boolean => createdAt === null || createdAt === '-infinity' || (typeof createdAt === 'bigint' && createdAt < end);
const known = (values: (bigint | null)[]): bigint[] => values.filter((value) => value !== null);
const dayMicros = 86_400_000_000n;

export function expectedBatch(shop: StagedShop, start: bigint, end: bigint): Expected {
  const dated = shop.orders.flatMap((order) => (typeof order.order_date === 'bigint' && order.order_date < end ? [{ ...order, at: order.order_date }] : []));
  const customers = expectCustomers(shop, dated, end);
  const products = expectProducts(shop, dated, start, end);
  const orders = expectOrders(dated.filter(({ at }) => at >= start));
  return {
    customers: customers.records,
    products: products.records,
    orders: orders.records,
    insights: {
      records_processed: { customers: customers.records.size, products: products.records.size, orders: orders.records.size },
      customer_insights: customers.insights,
      product_insights: products.insights,
      order_insights: orders.insights,
      orders_without_date: shop.orders.filter(({ order_date }) => typeof order_date !== 'bigint').length,
    },
  };
}

interface Part {
  records: Map<string, Members>;
  insights: object;
}
type DatedOrder = StagedShop['orders'][number] & { at: bigint };

function expectCustomers(shop: StagedShop, dated: DatedOrder[], end: bigint): Part {
  const facts = shop.customers
    .filter(({ created_at }) => isThere(created_at, end))
    .map((customer) => {
      const own = dated.filter(({ customer_id }) => customer_id === customer.id);
      const last = own.reduce<bigint | null>((latest, { at }) => (latest === null || at > latest ? at : latest), null);
      const spent = sum(known(own.filter(({ status }) => status !== 'cancelled').map(({ total_cents }) => total_cents)));
      return { customer, count: own.length, spent, last, idleDays: last === null ? 999 : Number((end - last) / dayMicros) };
    });
  const spending = facts.map(({ spent }) => whole(spent));
  const counts = facts.map(({ count }) => whole(BigInt(count)));
  const records = facts.map(({ customer, count, spent, last, idleDays }): [string, Members] => {
    const frequent = reaches(whole(BigInt(count)), percentile(counts, 4));
    const gold = frequent && reaches(whole(spent), percentile(spending, 4));
    const silver = frequent || reaches(whole(spent), percentile(spending, 3));
    return [
      String(customer.id),
      [
        ['customer_id', Number(customer.id)],
        ['first_name', customer.first_name],
        ['last_name', customer.last_name],
        ['city', customer.city],
        ['state', customer.state],
        ['total_orders', count],
        ['total_spent', money(spent)],
        ['last_order_date', last === null ? null : isoTime(last)],
        ['customer_segment', gold ? 'Gold' : silver ? 'Silver' : 'Bronze'],
        ['estimated_clv', money(2n * spent)],
        ['days_since_last_order', idleDays],
        ['recency_segment', idleDays <= 7 ? 'Very Active' : idleDays <= 30 ? 'Active' : 'Inactive'],
      ],
    ];
  });
  const total = sum(facts.map(({ spent }) => spent));
  return {
    records: new Map(records),
    insights: {
      total_customers: facts.length,
      segments: tally(labelsOf(records, 'customer_segment')),
      recency_segments: tally(labelsOf(records, 'recency_segment')),
      avg_customer_value: facts.length === 0 ? '0.00' : money(divide(total, BigInt(facts.length))),
      total_customer_value: money(total),
    },
  };
}

const labelsOf = (records: [string, Members][], member: string): string[] => records.map(([, members]) => String(Object.fromEntries(members)[member]));

function expectProducts(shop: StagedShop, dated: DatedOrder[], start: bigint, end: bigint): Part {
  const sales = new Map(dated.filter(({ status }) => status !== 'cancelled').map((order) => [order.id, order]));
  const facts = shop.products
    .filter(({ created_at }) => isThere(created_at, end))
    .map((product) => {
      const items = shop.order_items.filter(({ product_id, order_id }) => product_id === product.id && sales.has(order_id));
      const inWindow = items.filter(({ order_id }) => sales.get(order_id)!.at >= start);
      const units = (of: typeof items): bigint => sum(known(of.map(({ quantity }) => quantity)));
      const cents = (of: typeof items): bigint =>
        sum(of.map(({ quantity, unit_price_cents }) => (quantity === null || unit_price_cents === null ? 0n : quantity * unit_price_cents)));
      const stock = product.stock_quantity ?? 0n;
      const orders = new Set(items.map(({ order_id }) => order_id)).size;
      const turnover: Fraction = { over: units(items), under: stock > 1n ? stock : 1n };
      return { product, stock, orders, sold: units(items), cents: cents(items), windowSold: units(inWindow), windowCents: cents(inWindow), turnover };
    });
  const revenues = facts.map(({ cents }) => whole(cents));
  const turnovers = facts.map(({ turnover }) => turnover);
  const records = facts.map(({ product, stock, orders, sold, cents, windowSold, windowCents, turnover }): [string, Members] => {
    const fast = reaches(turnover, percentile(turnovers, 4));
    const high = reaches(whole(cents), percentile(revenues, 4));
    return [
      String(product.id),
      [
        ['product_id', Number(product.id)],
        ['name', product.name],
        ['category', product.category],
        ['price', product.price_text],
        ['stock_quantity', Number(stock)],
        ['total_sold', Number(sold)],
        ['total_revenue', money(cents)],
        ['unique_orders', orders],
        ['window_sold', Number(windowSold)],
        ['window_revenue', money(windowCents)],
        ['revenue_per_unit', sold === 0n ? '0.00' : money(divide(cents, sold))],
        ['turnover_rate', Number(decimal(divide(10_000n * turnover.over, turnover.under), 4))],
        ['performance_category', fast && high ? 'Star Product' : fast ? 'Fast Moving' : high ? 'High Revenue' : 'Low Performer'],
        ['stock_status', stock <= 0n ? 'Out of Stock' : stock <= 10n ? 'Low Stock' : stock >= 500n ? 'Overstock' : 'Normal'],
      ],
    ];
  });
  return {
    records: new Map(records),
    insights: {
      total_products: facts.length,
      performance_categories: tally(labelsOf(records, 'performance_category')),
      stock_status: tally(labelsOf(records, 'stock_status')),
      total_revenue: money(sum(facts.map(({ cents }) => cents))),
      avg_units_sold: facts.length === 0 ? 0 : Number(decimal(divide(100n * sum(facts.map(({ sold }) => sold)), BigInt(facts.length)), 2)),
    },
  };
}

function expectOrders(inWindow: DatedOrder[]): Part {
  const groups = new Map<string, DatedOrder[]>();
  for (const order of inWindow) {
    const key = `${isoTime(order.at).split('T')[0]}|${order.status ?? '(none)'}`;
    groups.set(key, [...(groups.get(key) ?? []), order]);
  }
  const records = [...groups].map(([key, orders]): [string, Members] => {
    const amounts = known(orders.map(({ total_cents }) => total_cents)).sort((a, b) => Number(a - b > 0n) - Number(a - b < 0n));
    return [
      key,
      [
        ['order_date', key.slice(0, key.indexOf('|'))],
        ['status', key.slice(key.indexOf('|') + 1)],
        ['order_count', orders.length],
        ['total_revenue', money(sum(amounts))],
        ['avg_order_value', amounts.length === 0 ? null : money(divide(sum(amounts), BigInt(amounts.length)))],
        ['min_order_value', amounts.length === 0 ? null : money(amounts[0]!)],
        ['max_order_value', amounts.length === 0 ? null : money(amounts.at(-1)!)],
      ],
    ];
  });
  const sold = known(inWindow.filter(({ status }) => status !== 'cancelled').map(({ total_cents }) => total_cents));
  return {
    records: new Map(records),
    insights: {
      total_orders: inWindow.length,
      total_revenue: money(sum(sold)),
      avg_order_value: sold.length === 0 ? '0.00' : money(divide(sum(sold), BigInt(sold.length))),
      status_distribution: tally(inWindow.map(({ status }) => status ?? '(none)')),
    },
  };
}
