/** Reads keys that anybody may have written: a key of another type is an answer, not an error that ends the comparison. */
import type { RedisStore } from '../adapters/redis.ts';

/** What `read` gives for each key (an absent one is empty); the name of its type instead where a key does not hold `wanted`. */
export async function readTyped<T>(redis: RedisStore, wanted: 'hash' | 'zset', keys: string[], read: (keys: string[]) => Promise<T[]>): Promise<(T | string)[]> {
  const types = await redis.types(keys);
  const sound = keys.filter((_, at) => types[at] === wanted || types[at] === 'none');
  const values = await read(sound);
  const found = new Map(sound.map((key, at) => [key, values[at]]));
  return keys.map((key, at) => found.get(key) ?? types[at] ?? 'none');
}
