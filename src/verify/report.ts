/** The report of `sluice verify` for a person: a line per check, then only what differs. */
import type { VerifyReport } from './verify.ts';

export function formatReport({ ok, rows, sets, aggregates, parked, drift, behind }: VerifyReport): string {
  const differing = [
    ...rows.differences.map(({ key, column, expected, found }) => [key, column, expected, found, '']),
    ...sets.differences.map(({ key, member, expected, found }) => [key, member, expected, found, '']),
    ...aggregates.differences.map(({ key, field, expected, found, difference }) => [key, field, expected, found, difference]),
  ];
  return [
    summary('rows', rows.checked, rows.differences.length, rows.elapsedMs, early(rows)),
    summary('sets', sets.checked, sets.differences.length, sets.elapsedMs, early(sets)),
    summary('counters', aggregates.checked, aggregates.differences.length, aggregates.elapsedMs, early(aggregates) || aggregates.method),
    ...listParked(parked),
    ...drift.map(({ table, why, differences }) => `drift: ${table} (${why}), being brought in line: ${differences} differ`),
    ...(differing.length > 0 ? ['', formatTable([['key', 'what', 'expected', 'found', 'difference'], ...differing])] : []),
    ...(behind ? ['', 'The pipeline did not catch up while verify waited, or never stood still (see sluice status): what differs may be on its way.'] : []),
    '',
    verdict(ok, differing.length > 0, drift.map(({ table }) => table), parked.length),
  ].join('\n');
}

function verdict(ok: boolean, differs: boolean, drifting: string[], parked: number): string {
  if (differs) return 'Redis DIFFERS from PostgreSQL.';
  const leftOut = parked === 0 ? '' : `, ${parked} parked ${parked === 1 ? 'row' : 'rows'} left out`;
  return ok ? `Redis equals PostgreSQL${leftOut}.` : `Redis does not equal PostgreSQL yet: ${drifting.join(', ')} being brought in line${leftOut}.`;
}

const listedMax = 20;

/** All of them are in `--json`. */
function listParked(parked: string[]): string[] {
  if (parked.length === 0) return [];
  const more = parked.length > listedMax ? ` and ${parked.length - listedMax} more` : '';
  return [`parked, not compared: ${parked.slice(0, listedMax).join(', ')}${more}`];
}

const early = ({ stopped }: { stopped: boolean }): string => (stopped ? 'stopped early: too many' : '');

const summary = (name: string, checked: number, differences: number, elapsedMs: number, note: string): string =>
  `${name.padEnd(9)} ${String(checked).padStart(9)} checked ${String(differences).padStart(6)} differ ${(elapsedMs / 1000).toFixed(1).padStart(7)} s  ${note}`.trimEnd();

const cellWidthMax = 60;

function formatTable(table: string[][]): string {
  const cells = table.map((row) => row.map((cell) => (cell.length > cellWidthMax ? `${cell.slice(0, cellWidthMax - 1)}…` : cell)));
  const widths = (cells[0] ?? []).map((_, column) => cells.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0));
  return cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n');
}
