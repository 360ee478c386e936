/**
 * `sluice generate`: orders into the source, as fast as it takes them or at a rate, and anomalies of the stream on request.
 * The result alone is on stdout. A signal ends it after the batch at hand; what was written is told, with the exit code of that signal.
 */
import { constants } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { access } from '../access.ts';
import { connectPostgres } from '../adapters/postgres.ts';
import { ConfigError, loadSettings, type Settings } from '../config.ts';
import { ruleLimits } from '../domain/rules/limits.ts';
import { plannedAnomalies, type PlannedAnomaly } from '../generator/anomaly.ts';
import { spikeOrders, writeAnomaly, writeOrders, type WriteOptions, type Written } from '../generator/write-orders.ts';
import { projectRoot } from '../stack/project.ts';
import { createProgressLine, type ProgressLine } from './progress-line.ts';

type Anomaly = PlannedAnomaly | 'silence' | 'spike';

interface GenerateOptions {
  orders?: number;
  rate?: number;
  seed?: number;
  anomaly?: Anomaly;
  json?: true;
}

export interface GenerateReport extends Written {
  seconds: number;
  rowsPerSecond: number;
  anomaly: Anomaly | null;
  /** What the alert will be about; null without an anomaly. */
  entity: string | null;
  interrupted: boolean;
}

/** How long a silence is. */
const silenceSeconds = 180;

const help = `
Anomalies are written after the orders, in one transaction, and cross the threshold of their rule by one (geo by more while others register):
  bulk         BULK_ORDERS_MAX + 1 orders of one customer within 30 s           → bulk_orders
  high-value   one order a cent above HIGH_VALUE_ORDER_THRESHOLD                → high_value_order
  depletion    STOCK_DEPLETION_UNITS_MAX + 1 units of one product within 30 s   → rapid_stock_depletion
  low-stock    the stock of one product from LOW_STOCK_BELOW to one less        → low_stock
  geo          8 new customers of one state in this minute; more if others have
               registered in the last 60 s                                      → geographic_anomaly
order_rate compares minutes, so these two need ORDER_RATE_WARM_MINUTES of orders before, such as --orders 1500 --rate 0.5:
  spike        ${spikeOrders} orders at once, of many customers
  silence      nothing at all for ${silenceSeconds} s; set SLUICE_GENERATOR=off, or the stack's generator goes on selling
A shop with too few customers or products for the pace gets them first, so that ordinary orders fire no rule. With thousands at full
speed a customer may well place more than ten in a minute: bulk_orders is right to fire then.`;

export function registerGenerate(program: Command): void {
  program
    .command('generate')
    .description('Write orders, and anomalies on request, to the source database')
    .option('--orders <n>', 'how many ordinary orders to write', wholeNumber)
    .option('--rate <n>', 'orders per second; without it as fast as the database takes them', positive)
    .option('--seed <n>', 'same shop, same seed: same orders (default: MOCK_DATA_SEED)', wholeNumber)
    .addOption(new Option('--anomaly <kind>', 'what to write after them').choices([...plannedAnomalies, 'silence', 'spike']))
    .option('--json', 'as one JSON object')
    .addHelpText('after', help)
    .action(async (options: GenerateOptions) => {
      if (options.orders === undefined && options.anomaly === undefined) throw new ConfigError('Nothing to write: give --orders <n>, --anomaly <kind> or both.');
      const report = await generate(loadSettings(undefined, projectRoot), options);
      console.log(options.json ? JSON.stringify(report) : describe(report));
    });
}

async function generate(settings: Settings, { orders = 0, rate, seed = settings.MOCK_DATA_SEED, anomaly }: GenerateOptions): Promise<GenerateReport> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stop.abort();
      process.exitCode = 128 + constants.signals[signal];
    });
  }
  const db = connectPostgres({ ...access.writer(settings), name: 'sluice-generate', max: 1, statementTimeoutMs: 60_000 });
  const line = createProgressLine();
  const startMs = performance.now();
  try {
    const options = { db, seed, signal: stop.signal, now: () => new Date() };
    const written = await writeOrders(options, { count: orders, rate, onProgress: showProgress(line, orders, startMs) });
    const orderedMs = performance.now();
    const extra = stop.signal.aborted ? { orders: 0, rows: 0, entity: null } : await addAnomaly(options, settings, anomaly, line);
    const seconds = ((anomaly === 'silence' ? orderedMs : performance.now()) - startMs) / 1000;
    return {
      orders: written.orders + extra.orders,
      rows: written.rows + extra.rows,
      seconds: Number(seconds.toFixed(2)),
      rowsPerSecond: Math.round((written.rows + extra.rows) / seconds),
      anomaly: anomaly ?? null,
      entity: extra.entity,
      interrupted: stop.signal.aborted,
    };
  } finally {
    line.clear();
    await db.close();
  }
}

async function addAnomaly(options: WriteOptions, settings: Settings, anomaly: Anomaly | undefined, line: ProgressLine): Promise<Written & { entity: string | null }> {
  if (anomaly === undefined) return { orders: 0, rows: 0, entity: null };
  if (anomaly === 'spike') {
    const spike = await writeOrders(options, { count: spikeOrders, rate: undefined, onProgress: showProgress(line, spikeOrders, performance.now()) });
    return { ...spike, entity: 'orders' };
  }
  if (anomaly !== 'silence') return writeAnomaly(options, anomaly, ruleLimits(settings));
  for (let second = 0; second < silenceSeconds && !options.signal.aborted; second += 1) {
    line.show(second / silenceSeconds, `silence: ${second} of ${silenceSeconds} s`);
    await pause(1000, undefined, { signal: options.signal }).catch(() => undefined); // an abort ends the loop by its condition
  }
  return { orders: 0, rows: 0, entity: 'orders' };
}

const showProgress =
  (line: ProgressLine, count: number, startMs: number) =>
  ({ orders, rows }: Written): void =>
    line.show(orders / count, `orders: ${orders} of ${count}, ${Math.round((rows * 1000) / Math.max(1, performance.now() - startMs))} rows/s`);

function describe({ orders, rows, seconds, rowsPerSecond, anomaly, entity, interrupted }: GenerateReport): string {
  const what = `${orders} orders, ${rows} rows in ${seconds} s (${rowsPerSecond} rows/s)`;
  const told = anomaly === null ? '' : entity === null ? `; ${anomaly} was not written` : `; ${anomaly}: ${entity}`;
  return `Wrote ${what}${told}${interrupted ? '; interrupted' : ''}.`;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 1_000_000_000) throw new InvalidArgumentError('Give a whole number from 0 to 1000000000.');
  return value;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1_000_000)) throw new InvalidArgumentError('Give a number above 0, at most 1000000.');
  return value;
}
