/** `sluice down`: stops the stack of this data folder, whoever started it. Safe to repeat. */
import type { Command } from 'commander';
import { loadSettings } from '../config.ts';
import { projectRoot } from '../stack/project.ts';
import { stopStack } from '../stack/stop-stack.ts';

export function registerDown(program: Command): void {
  program
    .command('down')
    .description('Stop the running stack and keep its data')
    .option('--json', 'as one JSON object')
    .action(async ({ json }: { json?: true }) => {
      const { SLUICE_DATA_DIR: dataDir } = loadSettings(undefined, projectRoot);
      const stopped = await stopStack(dataDir);
      console.log(json ? JSON.stringify({ stopped, dataDir }) : stopped ? 'Stopped.' : `No stack is running in ${dataDir}.`);
    });
}
