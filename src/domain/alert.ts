/**
 * What an alert is called, and which of its occurrences have been seen. Nothing here needs a library: workflows use it.
 * Invariant: an alert's ids follow from type, entity and episode alone, so a redelivered message finds the same workflow.
 */
export const alertTypes = ['high_value_order', 'bulk_orders', 'rapid_stock_depletion', 'low_stock', 'geographic_anomaly', 'order_rate', 'batch_failed'] as const;
export type AlertType = (typeof alertTypes)[number];

export const severities = ['LOW', 'MEDIUM', 'HIGH'] as const;
export type Severity = (typeof severities)[number];

/** Level 1 is the first telling; only HIGH alerts go further. */
export const levels = [1, 2, 3] as const;
export type AlertLevel = (typeof levels)[number];

/** Types that say themselves when they are over: silence means nothing, the stock of a product that nobody buys is still low, a schedule that is paused does not run. */
export const closedBySource: ReadonlySet<AlertType> = new Set<AlertType>(['low_stock', 'batch_failed']);

export interface AlertRef {
  type: AlertType;
  /** Bare id, state or schedule, never a name. */
  entity: string;
  /** Event time of the first crossing, milliseconds since 1970. */
  episode: number;
}

export const alertIdOf = ({ entity, episode }: Pick<AlertRef, 'entity' | 'episode'>): string => `${entity}/${episode}`;
export const alertWorkflowId = (ref: AlertRef): string => `alert/${ref.type}/${alertIdOf(ref)}`;

/** `<entity>/<episode>`; an entity may hold slashes, an episode is digits. Null when it is none. */
export function parseAlertId(text: string): Pick<AlertRef, 'entity' | 'episode'> | null {
  const [, entity, episode] = /^(.{1,128})\/(\d{1,15})$/u.exec(text) ?? [];
  return entity === undefined ? null : { entity, episode: Number(episode) };
}

/** `[alert/]<type>/<entity>/<episode>`, as commands name an alert, or `<type>:<entity>/<episode>`, as `alerts:open` does. Null when it is none. */
export function parseAlertRef(text: string): AlertRef | null {
  const [, name = '', id = ''] = /^(?:alert\/)?([a-z_]+)[/:](.+)$/u.exec(text) ?? [];
  const type = alertTypes.find((one) => one === name);
  const parsed = parseAlertId(id);
  return type && parsed ? { type, ...parsed } : null;
}

/** Highest offset (as text) and latest event time seen of each `<topic>-<partition>`: as many entries as partitions, whatever comes. */
export type OriginMemory = Record<string, [offset: string, at: number]>;

const partitionsKept = 1024;

/**
 * Whether this occurrence is new; then it is remembered. A redelivered one is behind in offset *and* in event time; asking for both
 * keeps occurrences of a topic that was made anew, whose offsets begin at 0 again. `origin` is `<topic>-<partition>:<offset>`.
 */
export function rememberOrigin(memory: OriginMemory, origin: string, at: number): boolean {
  const [, partition = '', offset = ''] = /^(.+-\d+):(\d{1,18})$/.exec(origin) ?? [];
  if (partition === '') return false;
  const seen = memory[partition];
  if (!seen) {
    const names = Object.keys(memory);
    if (names.length >= partitionsKept) delete memory[names.reduce((oldest, name) => (memory[name]![1] < memory[oldest]![1] ? name : oldest))];
    memory[partition] = [offset, at];
    return true;
  }
  const isAhead = BigInt(offset) > BigInt(seen[0]);
  if (!isAhead && at <= seen[1]) return false;
  memory[partition] = [isAhead ? offset : seen[0], Math.max(at, seen[1])];
  return true;
}
