/**
 * Sums over every window of a fixed length, exact at any offset. Events that are no further apart than the length lie in one
 * window: "more than ten within 60 s" is eleven of which the last comes at most 60.000 s after the first. Both ends belong to
 * it, or eleven orders from second 5 to second 65 would be missed.
 */

export interface SlidingEvent {
  id: string;
  atMs: number;
  amount: number;
}

export interface Crossing {
  /** Time of the event that took the sum over the threshold. */
  atMs: number;
  /** Sum of the window that ends with this event. */
  total: number;
}

/**
 * The events, in time order, whose window behind them holds more than `threshold`. Amounts are not negative, so every window
 * that holds too much has one of them in it. `events`: sorted by time, each once.
 */
export function crossings(events: readonly SlidingEvent[], threshold: number, windowMs: number): Crossing[] {
  const crossed: Crossing[] = [];
  let total = 0;
  let first = 0;
  for (const event of events) {
    total += event.amount;
    while (event.atMs - events[first]!.atMs > windowMs) {
      total -= events[first]!.amount;
      first += 1;
    }
    if (total > threshold) crossed.push({ atMs: event.atMs, total });
  }
  return crossed;
}
