/** An episode is named by the event time of its first crossing, so whoever sees the same events gives it the same name. */

export interface Episode {
  /** Event time of the first crossing, milliseconds. */
  episode: number;
  /** Event time of the last one. */
  lastAt: number;
  /** Offset of the change that told it last: of two of the same moment it tells which was later. */
  offset?: number;
}

/** So many are remembered of one entity: as many as may lie in what is looked through at once, and some. */
const rememberedMost = 20;

/**
 * The episode of a crossing among those that are remembered (in time order), and these with it: the one it continues, its gap to the last
 * crossing being at most `quietGapMs`; or, when it arrives late, one that begins within the gap after it, whose name does not change then,
 * because an alert may bear it; otherwise a new one. No news is what is not behind the last crossing of its episode: it was told.
 */
export function joinEpisode(known: readonly Episode[], at: number, quietGapMs: number): { episode: Episode; isNews: boolean; known: Episode[] } {
  const joined = known.findLast((one) => one.episode <= at && at <= one.lastAt + quietGapMs) ?? known.find((one) => at < one.episode && one.episode <= at + quietGapMs);
  const episode = joined ? { episode: joined.episode, lastAt: Math.max(joined.lastAt, at) } : { episode: at, lastAt: at };
  const others = known.filter((one) => one !== joined);
  return { episode, isNews: !joined || at > joined.lastAt, known: [...others, episode].toSorted((a, b) => a.episode - b.episode).slice(-rememberedMost) };
}
