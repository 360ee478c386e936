import { InvalidArgumentError } from 'commander';
import { isoSeconds } from '../domain/batch-window.ts';

const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `1d`, `6h`, `30m`, `90s` → seconds. */
export function parseSeconds(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (units[unit] ?? 0);
  if (seconds < 1) throw new InvalidArgumentError('Give a number and s, m, h or d, such as 1d or 6h.');
  return seconds;
}

/** `2026-11-01`, `2026-11-01T06:00:00Z` or with an offset as `+02:00`; without a time, midnight UTC → milliseconds since 1970. */
export function parseMs(text: string): number {
  const isShaped = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const day = new Date(isShaped ? text.slice(0, 10) : Number.NaN);
  // JavaScript takes 30 February for 2 March
  const ms = !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text.slice(0, 10)) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new InvalidArgumentError('Give a time such as 2026-11-01 or 2026-11-01T06:00:00Z.');
  return ms;
}

/** As `parseMs` → ISO-8601 in whole seconds, UTC. */
export const parseTime = (text: string): string => isoSeconds(parseMs(text));
