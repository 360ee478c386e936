/** An episode is named by the event time of its first crossing, so whoever sees the same events gives it the same name. */

export interface Episode {
  /** Event time of the first crossing, milliseconds. */
  episode: number;
  /** Event time of the last one. */
  lastAt: number;
}

/**
 * The episode a crossing belongs to: the recorded one if the gap between them is at most `quietGapMs`, otherwise a new one.
 * A crossing that arrives late belongs to a recorded episode that begins within the gap after it; the name does not change
 * then, because an alert may bear it. A new episode may be older than the recorded one: the caller keeps both or the later.
 */
export function episodeOf(previous: Episode | null, at: number, quietGapMs: number): Episode {
  const joins = previous !== null && at <= previous.lastAt + quietGapMs && at >= previous.episode - quietGapMs;
  return joins ? { episode: previous.episode, lastAt: Math.max(previous.lastAt, at) } : { episode: at, lastAt: at };
}
