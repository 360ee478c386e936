/**
 * Whether the stream has applied everything that was committed up to a moment of the source's clock. Debezium writes in the order of
 * PostgreSQL's log, through one task: when a heartbeat is in Kafka, so is what was committed before it. The ends that the topics have
 * after that therefore bound it, however late it came to Kafka; Kafka's own times say nothing about it.
 */
import { lagBehind, readEnds, type LagSource, type PartitionEnd } from '../../replica/lag.ts';

/** To be asked when a heartbeat of the moment or a later one was applied. The ends are read once a moment. */
export function createProgress(source: LagSource): (sourceMs: number) => Promise<boolean> {
  let noted: { sourceMs: number; ends: PartitionEnd[] } | null = null;
  return async (sourceMs) => {
    if (noted?.sourceMs !== sourceMs) noted = { sourceMs, ends: await readEnds(source) };
    return (await lagBehind(source, noted.ends)).every(({ events }) => events === 0);
  };
}
