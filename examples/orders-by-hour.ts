/**
 * A processor of one's own: how many orders there are for each hour of the day, in UTC, as `processor:by-hour:orders` (hash, hour → orders).
 * An order that is updated, cancelled or deleted corrects the hour it was counted under, whatever is killed in between.
 *
 * Run beside a stack: node --import tsx examples/orders-by-hour.ts
 */
import { label } from '../src/domain/columns.ts';
import { processorKeys } from '../src/domain/keys.ts';
import { orders } from '../src/domain/tables/orders.ts';
import type { Table } from '../src/domain/tables/table.ts';
import { runProcess } from '../src/main/process.ts';
import { runTableConsumer } from '../src/main/table-consumer.ts';

const name = 'processor:by-hour';

/** What one order contributes. It is asked again whenever the order changes; what it gave before is then taken back. */
const ordersByHour: Table = {
  ...orders,
  entity: `${name}:order`,
  counts: { events: `${name}:stats:orders`, changes: null },
  contributions: (row) => {
    const [, hour] = /T(\d\d):/.exec(label(row, 'order_date')) ?? []; // none where there is no finite moment
    return { counters: hour === undefined ? [] : [[`${name}:orders`, hour, 1]], members: [] };
  },
};

await runProcess('orders-by-hour', (context) =>
  runTableConsumer(
    {
      name: 'sluice-by-hour',
      failpoints: 'by-hour',
      group: 'sluice-by-hour',
      tables: [ordersByHour],
      spec: 'by-hour-1', // another number whenever a contribution comes to mean something else
      rowsMax: context.settings.CDC_BATCH_ROWS_MAX,
      changesMax: 0,
      keysOf: (keys) => processorKeys(name, keys),
      deadLetters: () => async () => undefined, // the CDC consumer keeps them
    },
    context,
  ),
);
