/** Whether the stream has applied everything that was written up to a moment of the source's clock. */
import { readLag, type LagSource } from '../../replica/lag.ts';

/** A partition is there when nothing waits in it, or when what it applied last was written after the moment. */
export const createProgress =
  (source: LagSource) =>
  async (sourceMs: number): Promise<boolean> => {
    const { redis, keys } = source;
    const waiting = (await readLag(source)).filter(({ events }) => events > 0);
    const owners = await redis.hashes(waiting.map(({ topic, partition }) => keys.owner(topic, partition)));
    return owners.every((owner) => Number(owner['ts_ms'] ?? 0) > sourceMs);
  };
