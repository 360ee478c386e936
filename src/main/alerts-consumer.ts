/** Composition root of the alerts consumer: `realtime-alerts` → alert workflows. */
import { access } from '../access.ts';
import { createKafkaAdmin } from '../adapters/kafka-admin.ts';
import { createKafkaProducer } from '../adapters/kafka-producer.ts';
import { connectTemporal } from '../adapters/temporal.ts';
import { createAcceptAlerts } from '../consumers/alerts/accept-alerts.ts';
import { consumeAlerts } from '../consumers/alerts/consume-alerts.ts';
import { createDeadLetterSink } from '../consumers/dead-letters.ts';
import { alertsTopic, deadLetterTopic, groups } from '../domain/topics.ts';
import { createFailpoint } from '../telemetry/failpoint.ts';
import { runProcess } from './process.ts';
import { waitFor } from './wait-for.ts';

await runProcess('alerts-consumer', async ({ settings, log, signal, ready }) => {
  const kafka = { ...access.kafka(settings), clientId: groups.alerts };
  const temporal = await waitFor('Temporal', log, signal, () => connectTemporal(access.temporal(settings)));
  const admin = createKafkaAdmin(kafka);
  const producer = createKafkaProducer(kafka);
  const deadLetters = createDeadLetterSink(producer, deadLetterTopic(groups.alerts), log.warn.bind(log));
  await consumeAlerts(
    {
      consumer: { ...kafka, group: groups.alerts, topics: [alertsTopic], sessionTimeoutMs: settings.KAFKA_SESSION_TIMEOUT_MS, concurrency: 4, ...(settings.KAFKA_INSTANCE_ID && { instanceId: settings.KAFKA_INSTANCE_ID }) },
      admin,
      accept: createAcceptAlerts({ temporal, deadLetters, ageMsMax: settings.ALERT_MAX_AGE_MS, log, failpoint: createFailpoint(settings.SLUICE_FAILPOINT_DIR), signal }),
      log,
      stallMs: settings.WATCHDOG_STALL_MS,
      ready,
    },
    signal,
  );
  await Promise.all([admin.close(), producer.close(), temporal.close()]);
});
