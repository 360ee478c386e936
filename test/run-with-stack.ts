/** Starts one real stack, runs the given test files against it one after another, and takes everything down again. */
import { spawn } from 'node:child_process';
import { startStack } from './stack.ts';

const files = process.argv.slice(2);
const stack = await startStack();
const runner = spawn(process.execPath, ['--import', 'tsx', '--test', '--test-concurrency=1', ...files], {
  stdio: 'inherit',
  env: { ...process.env, SLUICE_TEST_STACK: JSON.stringify({ dir: stack.dir, env: stack.env }) },
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => runner.kill(signal));
const code = await new Promise<number | null>((resolve) => runner.once('exit', resolve));
await stack.stop();
process.exitCode = code ?? 1;
