/** Composition root of the command line. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not reachable or unhealthy. */
import { CommanderError } from 'commander';
import { createProgram } from '../cli/program.ts';
import { ConfigError } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';

process.stdout.on('error', () => undefined); // `sluice … | head`: a closed pipe must not end a supervisor before it has stopped its servers

try {
  await (await createProgram(process.argv.slice(2))).parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  if (error instanceof PipelineError) {
    process.stderr.write(`${error.message}\n`);
    return error.action === 'retry' ? 3 : 1;
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}
