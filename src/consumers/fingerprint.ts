import { crc32 } from 'node:zlib';
import type { SourceRecord } from '../domain/change-event.ts';

/** Tells one record from another at the same offset: a re-created topic is recognised by it. */
export const fingerprint = (record: SourceRecord): string =>
  `${record.timestampMs}-${crc32(record.key ?? '').toString(16)}-${crc32(record.value ?? '').toString(16)}`;
