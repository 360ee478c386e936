/** `sluice reset`: stops the stack and removes its data, logs and passwords. Fetched programs are kept. */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import type { Command } from 'commander';
import { loadSettings, secretsFile } from '../config.ts';
import { errnoOf } from '../stack/errno.ts';
import { removeReadablePlace } from '../stack/postgres-files.ts';
import { layoutOf, projectRoot } from '../stack/project.ts';
import { stopStack } from '../stack/stop-stack.ts';
import { confirm } from './confirm.ts';

export function registerReset(program: Command): void {
  program
    .command('reset')
    .description('Stop the stack and remove its data, logs and passwords (asks first on a terminal)')
    .option('--yes', 'do not ask')
    .option('--json', 'as one JSON object')
    .action(async ({ yes, json }: { yes?: true; json?: true }) => {
      const { SLUICE_DATA_DIR: dataDir } = loadSettings(undefined, projectRoot);
      if (!yes && process.stdin.isTTY && !(await confirm(`Stop the stack and remove all its data in ${dataDir}?`))) {
        return console.log(json ? JSON.stringify({ removed: false, dataDir }) : 'Nothing was changed.');
      }
      let removed = false;
      const onStopped = (): void => {
        removeReadablePlace(dataDir);
        removed = removeData(dataDir);
      };
      await stopStack(dataDir, { onStopped });
      console.log(json ? JSON.stringify({ removed, dataDir }) : removed ? `Removed the data in ${dataDir}.` : `There is no stack in ${dataDir}: nothing was removed.`);
    });
}

/** Only what the stack made: SLUICE_DATA_DIR may be a folder with other things in it. False when no start has left its passwords there. */
function removeData(dataDir: string): boolean {
  if (!existsSync(secretsFile(dataDir))) return false;
  const { postgres, kafka, redis, temporal, logs, run, staging, scratch } = layoutOf(dataDir);
  for (const path of [postgres, kafka, redis, temporal, logs, run, staging, scratch, secretsFile(dataDir)]) rmSync(path, { recursive: true, force: true });
  if (readdirSync(dataDir).length > 0) return true;
  try {
    rmdirSync(dataDir);
  } catch (error) {
    if (errnoOf(error) !== 'EBUSY') throw error; // a volume is mounted there: it stays, empty
  }
  return true;
}
