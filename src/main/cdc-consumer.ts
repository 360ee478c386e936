/** Composition root of the CDC consumer: change topics → replica in Redis. */
import { createDeadLetterSink } from '../consumers/dead-letters.ts';
import { contributionSpec, tables } from '../domain/tables/registry.ts';
import { deadLetterTopic, groups } from '../domain/topics.ts';
import { runProcess } from './process.ts';
import { runTableConsumer } from './table-consumer.ts';

await runProcess('cdc-consumer', (context) =>
  runTableConsumer(
    {
      name: 'sluice-cdc',
      failpoints: 'cdc',
      group: groups.cdc,
      tables,
      spec: contributionSpec,
      rowsMax: context.settings.CDC_BATCH_ROWS_MAX,
      changesMax: context.settings.CDC_CHANGES_MAX,
      keysOf: (keys) => keys,
      deadLetters: (producer) => createDeadLetterSink(producer, deadLetterTopic(groups.cdc), context.log.warn.bind(context.log)),
    },
    context,
  ),
);
