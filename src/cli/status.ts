/** `sluice status [--json]`: exit code 3 when anything is unhealthy. */
import type { Command } from 'commander';
import { loadSettings } from '../config.ts';
import { projectRoot } from '../stack/project.ts';
import { createStatusReader, lagOf, type StackStatus } from '../stack/status.ts';

export const unhealthyCode = 3;

export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('Show processes, connector, replication slot, lag and URLs')
    .option('--json', 'as one JSON object')
    .action(async ({ json }: { json?: true }) => {
      const status = await createStatusReader(loadSettings(undefined, projectRoot))();
      await printAndExit(json ? JSON.stringify(status, null, 2) : describe(status), status.healthy ? 0 : unhealthyCode);
    });
}

/** Ends the process once the text is out: the client of a frozen server would keep it alive for minutes. */
export async function printAndExit(text: string, code: number): Promise<never> {
  await new Promise((resolve) => process.stdout.write(`${text}\n`, resolve));
  process.exit(code);
}

function describe(status: StackStatus): string {
  const { healthy, problems, processes, connector, slot, heartbeat, halted, urls } = status;
  const lag = lagOf(status);
  const lines = [
    healthy ? 'healthy' : `NOT HEALTHY: ${problems.join('; ')}`,
    '',
    ...(processes.length === 0 ? [] : [row('process', 'state', 'pid', 'restarts', 'ports'), ...processes.map(({ name, state, pid, restarts, ports }) => row(name, state, pid ?? '-', restarts, ports.join(', '))), '']),
    `connector  ${connector.state}, tasks ${connector.tasks.join(', ') || 'none'}`,
    `slot       ${slot ? `${slot.active ? 'active' : 'INACTIVE'}, WAL ${slot.walStatus}, ${slot.retainedBytes} bytes retained` : 'unknown'}`,
    `lag        ${lag ? `${lag.events} events, ${lag.ms} ms, over ${status.lag.length} partitions` : 'unknown'}`,
    `heartbeat  ${heartbeat ? `${heartbeat.ageMs} ms old` : 'unknown'}`,
    ...Object.entries(halted).map(([table, why]) => `halted     ${table}: ${why}`),
    '',
    ...Object.entries(urls).map(([name, url]) => `${name.padEnd(12)} ${url}`),
  ];
  return lines.join('\n');
}

const row = (...cells: (string | number)[]): string =>
  cells
    .map((cell) => String(cell).padEnd(17))
    .join('')
    .trimEnd();
