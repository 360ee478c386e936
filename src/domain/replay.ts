/**
 * The headers of a change record that was written back from a dead letter: which record it repeats, of which generation.
 * Such a record is judged as what it repeats: it has that record's offset as its version.
 */
export const replayHeaders = { of: 'sluice-replay-of', generation: 'sluice-replay-generation' } as const;

export interface Replay {
  /** Offset of the record that was rejected, in the same partition. */
  of: bigint;
  /** Generation of the table when it was rejected. */
  generation: number;
}

export const formatReplay = ({ of, generation }: Replay): Record<string, string> => ({
  [replayHeaders.of]: String(of),
  [replayHeaders.generation]: String(generation),
});

/** Null when the record is none; `malformed` when it says so but cannot be read. Whether it may be applied is for the key's mark. */
export function parseReplay(headers: Record<string, string> | undefined): Replay | 'malformed' | null {
  const of = headers?.[replayHeaders.of];
  if (of === undefined) return null;
  const generation = headers?.[replayHeaders.generation] ?? '';
  if (!/^\d{1,18}$/.test(of) || !/^\d{1,15}$/.test(generation)) return 'malformed';
  return { of: BigInt(of), generation: Number(generation) };
}
