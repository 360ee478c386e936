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

/** `2026-11-01` or `2026-11-01T06:00:00Z`, UTC → ISO-8601 in whole seconds. */
export function parseTime(text: string): string {
  const ms = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new InvalidArgumentError('Give a UTC time such as 2026-11-01 or 2026-11-01T06:00:00Z.');
  return isoSeconds(ms);
}
