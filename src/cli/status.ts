/** `sluice status [--json]`: exit code 3 when anything is unhealthy. */
import type { Command } from 'commander';
import { loadSettings } from '../config.ts';
import { projectRoot } from '../stack/project.ts';
import { readStatus, type StackStatus } from '../stack/status.ts';

const unhealthyCode = 3;

export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('Show processes, connector, replication slot, lag and URLs')
    .option('--json', 'as one JSON object')
    .action(async ({ json }: { json?: true }) => {
      const status = await readStatus(loadSettings(undefined, projectRoot));
      console.log(json ? JSON.stringify(status, null, 2) : describe(status));
      if (!status.healthy) process.exitCode = unhealthyCode;
    });
}

function describe({ healthy, processes, connector, slot, lag, halted, urls }: StackStatus): string {
  const events = lag.reduce((sum, one) => sum + one.events, 0);
  const lines = [
    healthy ? 'healthy' : 'NOT HEALTHY',
    '',
    row('process', 'state', 'pid', 'restarts', 'ports'),
    ...processes.map(({ name, state, pid, restarts, ports }) => row(name, state, pid ?? '-', restarts, ports.join(', '))),
    '',
    `connector  ${connector.state}, tasks ${connector.tasks.join(', ') || 'none'}`,
    `slot       ${slot ? `${slot.active ? 'active' : 'INACTIVE'}, WAL ${slot.walStatus}, ${slot.retainedBytes} bytes retained` : 'unknown'}`,
    `lag        ${lag.length === 0 ? 'unknown' : `${events} events, ${Math.max(...lag.map(({ ms }) => ms))} ms, over ${lag.length} partitions`}`,
    ...Object.entries(halted).map(([table, why]) => `halted     ${table}: ${why}`),
    '',
    ...Object.entries(urls).map(([name, url]) => `${name.padEnd(12)} ${url}`),
  ];
  return lines.join('\n');
}

const row = (...cells: (string | number)[]): string =>
  cells
    .map((cell) => String(cell).padEnd(14))
    .join('')
    .trimEnd();
