/** `sluice bench`: scripts/bench.ts of this checkout, with its development packages; what it measures is in docs/performance.md. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { Argument, type Command } from 'commander';
import { PipelineError } from '../domain/errors.ts';
import { inProject } from '../stack/project.ts';

interface BenchOptions {
  quick?: true;
  json?: true;
  redisServer?: string;
}

export function registerBench(program: Command): void {
  program
    .command('bench')
    .description('Measure speed, latency and memory on this machine')
    .addArgument(new Argument('[parts...]', 'letters of docs/performance.md; all of them by default').choices('abcdefghi'.split('')))
    .option('--quick', 'a small run that writes no file')
    .option('--json', 'the reports as one JSON array')
    .option('--redis-server <file>', 'the redis-server to measure with')
    .action(async (parts: string[], { quick, json, redisServer }: BenchOptions) => {
      const script = inProject('scripts/bench.ts');
      if (!existsSync(script) || !existsSync(inProject('node_modules/tsx'))) throw new PipelineError('tool_missing', 'The benchmark needs a checkout with its development packages: git clone, then npm ci');
      const options = [...(quick ? ['--quick'] : []), ...(json ? ['--json'] : []), ...(redisServer === undefined ? [] : ['--redis-server', resolve(redisServer)])];
      process.exitCode = await run(process.execPath, ['--import', 'tsx', script, ...options, ...parts]);
    });
}

/** Exit code of the program, which has our terminal and our signals. */
function run(file: string, args: string[]): Promise<number> {
  const child = spawn(file, args, { cwd: inProject('.'), stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void child.kill(signal));
  return new Promise((ended, failed) => {
    child.on('error', failed);
    child.on('exit', (code, signal) => ended(code ?? 128 + constants.signals[signal!]));
  });
}
