/**
 * What follows from EVENT_BYTES_MAX in every server an event passes.
 * Invariant: the connector's producer is the narrowest place, so that it is the one that refuses: it alone names the size.
 */
import type { Settings } from '../config.ts';

const MiB = 1024 * 1024;

export function eventSizes({ EVENT_BYTES_MAX, CDC_BATCH_BYTES_MAX }: Pick<Settings, 'EVENT_BYTES_MAX' | 'CDC_BATCH_BYTES_MAX'>) {
  const messageBytesMax = Math.max(EVENT_BYTES_MAX, CDC_BATCH_BYTES_MAX) + MiB;
  return {
    /** Broker and topics: an event, or a batch of them written as dead letters, and their headers. */
    messageBytesMax,
    /** Kafka's own default is 100 MiB. */
    requestBytesMax: Math.max(100 * MiB, messageBytesMax + MiB),
    producerBufferBytes: EVENT_BYTES_MAX + 64 * MiB,
    /** An event is held several times at once: as read from the log, as fields, as JSON, as request. */
    heapMiBMax: 384 + Math.max(0, Math.ceil((EVENT_BYTES_MAX - 16 * MiB) / MiB)) * 8,
  };
}
