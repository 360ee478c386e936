/**
 * How far the stream has applied what was committed, by the source's clock. Debezium writes in the order of PostgreSQL's log, through
 * one task: when a heartbeat is in Kafka, so is what was committed before it. The ends that the topics have after that therefore
 * bound it, however late it came to Kafka; Kafka's own times say nothing about it.
 */
import { lagBehind, readEnds, type LagSource, type PartitionEnd } from '../../replica/lag.ts';

/**
 * To be asked about a moment when a heartbeat of it or of a later one was applied; answers with the latest moment that was asked about
 * and is reached. The ends of a moment are waited for before the next one's are read: a stream that lags for hours gets there all the same.
 */
export function createProgress(source: LagSource): (sourceMs: number) => Promise<number> {
  let noted: { sourceMs: number; ends: PartitionEnd[] } | null = null;
  let reachedMs = -Infinity;
  return async (sourceMs) => {
    if (sourceMs <= reachedMs) return reachedMs;
    noted ??= { sourceMs, ends: await readEnds(source) };
    if ((await lagBehind(source, noted.ends)).every(({ events }) => events === 0)) {
      reachedMs = noted.sourceMs;
      noted = null;
    }
    return reachedMs;
  };
}
