import type { SourceRecord } from '../domain/change-event.ts';

export interface BatchLimits {
  rowsMax: number;
  bytesMax: number;
}

/** Cuts records, in order, into parts within both limits; a single record larger than `bytesMax` is a part of its own. */
export function* splitBatch(records: SourceRecord[], { rowsMax, bytesMax }: BatchLimits): Generator<SourceRecord[]> {
  let from = 0;
  let bytes = 0;
  for (const [i, record] of records.entries()) {
    const size = (record.key?.length ?? 0) + (record.value?.length ?? 0);
    if (i > from && (i - from >= rowsMax || bytes + size > bytesMax)) {
      yield records.slice(from, i);
      from = i;
      bytes = 0;
    }
    bytes += size;
  }
  if (from < records.length) yield records.slice(from);
}
