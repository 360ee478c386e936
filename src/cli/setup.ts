/** `sluice setup`: prepares servers that are there, as `up` does, and starts nothing. Safe to repeat. */
import type { Command } from 'commander';
import { loadSettings } from '../config.ts';
import { prepareAll } from '../stack/prepare.ts';
import { createProgress } from '../stack/progress.ts';
import { projectRoot } from '../stack/project.ts';
import { knownSecrets } from '../stack/secrets.ts';

export function registerSetup(program: Command): void {
  program
    .command('setup')
    .description('Wait for the servers and prepare them: schema, roles, topics, Redis user, search attributes, connector')
    .option('--json', 'one JSON object at its end on stdout, the steps on stderr')
    .action(async ({ json }: { json?: true }) => {
      await prepareAll(knownSecrets(loadSettings(undefined, projectRoot)), createProgress(json ? console.error : console.log));
      if (json) console.log(JSON.stringify({ prepared: true }));
    });
}
