/** The report of `sluice verify` for a person: a line per check, then only what differs. */
import type { VerifyReport } from './verify.ts';

export function formatReport({ ok, rows, sets, aggregates, parked, behind }: VerifyReport): string {
  const differing = [
    ...rows.differences.map(({ key, column, expected, found }) => [key, column, expected, found, '']),
    ...sets.differences.map(({ key, member, expected, found }) => [key, member, expected, found, '']),
    ...aggregates.differences.map(({ key, field, expected, found, difference }) => [key, field, expected, found, difference]),
  ];
  return [
    summary('rows', rows.checked, rows.differences.length, rows.elapsedMs, rows.stopped ? 'stopped early: too many' : ''),
    summary('sets', sets.checked, sets.differences.length, sets.elapsedMs, sets.stopped ? 'stopped early: too many' : ''),
    summary('counters', aggregates.checked, aggregates.differences.length, aggregates.elapsedMs, aggregates.method),
    ...(parked.length > 0 ? [`parked, not compared: ${parked.join(', ')}`] : []),
    ...(differing.length > 0 ? ['', formatTable([['key', 'what', 'expected', 'found', 'difference'], ...differing])] : []),
    ...(behind ? ['', 'The pipeline did not catch up while verify waited (see sluice status): what differs may be on its way.'] : []),
    '',
    ok ? `Redis equals PostgreSQL${leftOut(parked.length)}.` : 'Redis DIFFERS from PostgreSQL.',
  ].join('\n');
}

const leftOut = (rows: number): string => (rows === 0 ? '' : `, ${rows} parked ${rows === 1 ? 'row' : 'rows'} left out`);

const summary = (name: string, checked: number, differences: number, elapsedMs: number, note: string): string =>
  `${name.padEnd(9)} ${String(checked).padStart(9)} checked ${String(differences).padStart(6)} differ ${(elapsedMs / 1000).toFixed(1).padStart(7)} s  ${note}`.trimEnd();

const cellWidthMax = 60;

function formatTable(table: string[][]): string {
  const cells = table.map((row) => row.map((cell) => (cell.length > cellWidthMax ? `${cell.slice(0, cellWidthMax - 1)}…` : cell)));
  const widths = (cells[0] ?? []).map((_, column) => cells.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0));
  return cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n');
}
