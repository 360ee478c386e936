/** Composition root of the stream consumer: change topics → windows of event time in Redis. */
import { ruleLimits } from '../domain/rules/limits.ts';
import { createProgress } from '../consumers/stream/progress.ts';
import { watchAnomalies } from '../consumers/stream/watcher.ts';
import { createStreamWindows } from '../consumers/stream/windows.ts';
import { streamKeys } from '../domain/keys.ts';
import { streamSpec } from '../domain/stream/spec.ts';
import { streamTables } from '../domain/stream/tables.ts';
import { alertsTopic, groups } from '../domain/topics.ts';
import { createFailpoint } from '../telemetry/failpoint.ts';
import { runProcess } from './process.ts';
import { runTableConsumer } from './table-consumer.ts';

await runProcess('stream-consumer', (context) => {
  const { settings, log } = context;
  const limits = ruleLimits(settings);
  const latenessMs = settings.STREAM_ALLOWED_LATENESS_MS;
  return runTableConsumer(
    {
      name: 'sluice-stream',
      failpoints: 'stream',
      group: groups.stream,
      tables: streamTables,
      spec: streamSpec,
      rowsMax: settings.STREAM_BUFFER_SIZE,
      changesMax: 0,
      keysOf: streamKeys,
      deadLetters: () => async () => undefined, // the CDC consumer keeps them
      windows: (redis, keys) => createStreamWindows({ redis, keys, latenessMs, limits }),
      beside: ({ redis, keys, producer, admin, topics }, signal) =>
        watchAnomalies({ redis, keys, producer, topic: alertsTopic, limits, gapMs: settings.ALERT_GAP_SECONDS * 1000, latenessMs, appliedUpTo: createProgress({ admin, redis, keys, topics }), log, failpoint: createFailpoint(settings.SLUICE_FAILPOINT_DIR) }, signal),
    },
    context,
  );
});
