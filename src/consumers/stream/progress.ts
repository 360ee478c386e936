/**
 * How far the stream has applied what was committed, by the source's clock. Debezium writes in the order of PostgreSQL's log, through
 * one task: when a heartbeat is in Kafka, so is what was committed before it. The ends that the topics have after that therefore
 * bound it, however late it came to Kafka; Kafka's own times say nothing about it.
 */
import { lagBehind, lowerEnds, readEnds, type LagSource, type PartitionEnd } from '../../replica/lag.ts';

interface Noted {
  sourceMs: number;
  /** The latest moment that was asked about. */
  askedMs: number;
  ends: PartitionEnd[];
}

/**
 * To be asked about a moment when a heartbeat of it or of a later one was applied; answers with the latest moment that was asked about
 * and is reached, −Infinity while none is. The ends of a moment are waited for before the next one's are noted: a stream that always
 * lags gets there all the same.
 */
export function createProgress(source: LagSource): (sourceMs: number) => Promise<number> {
  let noted: Noted | null = null;
  const note = async (sourceMs: number): Promise<Noted> => ({ sourceMs, askedMs: sourceMs, ends: await readEnds(source) });
  const isReached = async ({ ends }: Noted): Promise<boolean> => (await lagBehind(source, ends)).every(({ events }) => events === 0);
  return async (sourceMs) => {
    noted ??= await note(sourceMs);
    if (await isReached(noted)) {
      const reachedMs = noted.sourceMs;
      if (sourceMs <= reachedMs) return reachedMs;
      noted = await note(sourceMs);
      return (await isReached(noted)) ? sourceMs : reachedMs;
    }
    if (sourceMs > noted.askedMs) noted = { ...noted, askedMs: sourceMs, ends: lowerEnds(noted.ends, await readEnds(source)) };
    return -Infinity;
  };
}
