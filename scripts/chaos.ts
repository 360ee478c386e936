/**
 * `npm run chaos -- --all | <name …> [--repeat N] [--seed S] [--parallel N] [--list]`: scenarios that break a real stack under load.
 * Each run of a scenario has a stack to itself and a seed that repeats its choices: round r of seed S is seed S + r. In
 * parallel each run is a process of its own, this script with one name, whose output is shown when it ends.
 * Invariant: a test that passes without having shown that its fault landed counts as failed.
 * Files in test/chaos are quick and run under `npm test` too; those in test/chaos-long keep servers away for minutes.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { parseArgs } from 'node:util';
import { keepLogs, runSluice, startStack } from '../test/stack.ts';

interface Scenario {
  name: string;
  file: string;
  speed: 'quick' | 'long';
}

interface Result {
  scenario: string;
  seed: number;
  seconds: number;
  landed: string[];
  failures: string[];
}

interface TestEvent {
  type: string;
  data: { nesting: number; name?: string; message?: string; details?: { error?: Error } };
}

const ending = '.test.ts';
const scenarioTimeoutMs = 30 * 60_000;
const consumersMost = 3;
const parallelMost = 4;
/** A scenario's own is inside it. */
const temporary = tmpdir();
const isPart = process.send !== undefined;
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}

/** Exit code: 0 when every scenario survived, 1 when one did not. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { all: { type: 'boolean' }, list: { type: 'boolean' }, repeat: { type: 'string', default: '1' }, seed: { type: 'string' }, parallel: { type: 'string', default: '1' } },
  });
  const scenarios = [...scenariosIn('chaos', 'quick'), ...scenariosIn('chaos-long', 'long')];
  if (values.list) {
    for (const { name, speed } of scenarios) console.log(`${name.padEnd(24)} ${speed}`);
    return 0;
  }
  const unknown = positionals.filter((name) => !scenarios.some((one) => one.name === name));
  const chosen = values.all ? scenarios : scenarios.filter(({ name }) => positionals.includes(name));
  if (unknown.length > 0 || chosen.length === 0) {
    throw new Error(`${unknown.length > 0 ? `No scenario is called ${unknown.join(', ')}` : 'Name a scenario, or --all'}. There are: ${scenarios.map(({ name }) => name).join(', ')}`);
  }
  const firstSeed = naturalOf('--seed', values.seed ?? String(Math.floor(Math.random() * 1_000_000)));
  const rounds = naturalOf('--repeat', values.repeat);
  const parallel = naturalOf('--parallel', values.parallel);
  if (parallel < 1 || parallel > parallelMost) throw new Error(`--parallel must be 1 to ${parallelMost}: each run has a whole stack to itself`);
  if (!isPart) console.log(`seed ${firstSeed}: the same choices again by npm run chaos -- ${values.all ? '--all' : chosen.map(({ name }) => name).join(' ')} --repeat ${rounds} --seed ${firstSeed}`);
  const runs = Array.from({ length: rounds }, (_, round) => chosen.map((scenario) => ({ scenario, seed: firstSeed + round }))).flat();
  const results: Result[] = [];
  const takeRuns = async (): Promise<void> => {
    for (let next; !stop.signal.aborted && (next = runs.shift()); ) results.push(await (parallel === 1 ? runScenario : runApart)(next.scenario, next.seed));
  };
  await Promise.all(Array.from({ length: parallel }, takeRuns));
  if (!isPart) return summarize(results);
  await new Promise((resolve) => process.send!(results, resolve));
  process.exit(); // a run that was cut short may hold the process
}

function runApart({ name }: Scenario, seed: number): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', import.meta.filename, name, '--seed', String(seed)], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    stop.signal.addEventListener('abort', () => child.kill('SIGINT'), { once: true });
    let output = '';
    let result: Result | undefined;
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('message', (message) => ([result] = message as Result[]));
    child.on('error', reject);
    child.on('close', (code) => {
      process.stdout.write(output);
      resolve(result ?? { scenario: name, seed, seconds: 0, landed: [], failures: [`ended with ${code}`] });
    });
  });
}

function scenariosIn(folder: string, speed: Scenario['speed']): Scenario[] {
  const files = readdirSync(join('test', folder)).filter((file) => file.endsWith(ending));
  return files.sort().map((file) => ({ name: file.slice(0, -ending.length), file: join('test', folder, file), speed }));
}

function naturalOf(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${option} must be a whole number, not ${text}`);
  return Number(text);
}

async function runScenario({ name, file }: Scenario, seed: number): Promise<Result> {
  const consumers = 1 + (seed % consumersMost);
  console.log(`\n${name}, seed ${seed}, ${consumers} consumer(s)`);
  const startedMs = performance.now();
  const result: Result = { scenario: name, seed, seconds: 0, landed: [], failures: [] };
  const folder = mkdtempSync(join(temporary, 'sluice-chaos-'));
  const logs = mkdtempSync(join(temporary, 'sluice-chaos-logs-'));
  process.env['SLUICE_TEST_LOGS'] = logs;
  try {
    await runOnStack(result, file, consumers, folder);
  } catch (error) {
    result.failures.push(error instanceof Error ? error.message : String(error)); // no stack: the other scenarios may have one
    console.log(`  FAILED    ${result.failures.at(-1)}`);
  } finally {
    await removeStacks(folder);
    if (result.failures.length === 0) rmSync(logs, { recursive: true });
    else console.log(`  logs      ${logs}`);
  }
  result.seconds = Math.round((performance.now() - startedMs) / 1000);
  return result;
}

/** What a test that was cut short has left running ends here. */
async function removeStacks(folder: string): Promise<void> {
  for (const dataDir of readdirSync(folder).map((name) => join(folder, name, 'data'))) {
    if (!existsSync(dataDir)) continue;
    await runSluice({ SLUICE_DATA_DIR: dataDir }, ['down']);
    keepLogs(dataDir);
  }
  rmSync(folder, { recursive: true });
}

/** A scenario that starts a stack of its own is given none; it makes its folder in `folder`. */
async function runOnStack(result: Result, file: string, consumers: number, folder: string): Promise<void> {
  const stack = readFileSync(file, 'utf8').includes('useStack(') ? await startStack({ SLUICE_CDC_CONSUMERS: String(consumers) }) : null;
  try {
    process.env['SLUICE_TEST_STACK'] = stack ? JSON.stringify({ dir: stack.dir, env: stack.env }) : '';
    process.env['SLUICE_CHAOS_SEED'] = String(result.seed);
    process.env['TMPDIR'] = folder;
    await watch(result, run({ files: [file], concurrency: 1, timeout: scenarioTimeoutMs, signal: stop.signal }) as AsyncIterable<TestEvent>);
  } finally {
    process.env['TMPDIR'] = temporary;
    await stack?.stop();
  }
}

/** Notes and prints what was hit and how each test ended. */
async function watch(result: Result, events: AsyncIterable<TestEvent>): Promise<void> {
  const passed: { name: string; landed: number }[] = []; // what a test reports follows its end
  for await (const { type, data } of events) {
    if (type === 'test:diagnostic' && data.message?.startsWith('landed: ')) {
      result.landed.push(data.message.slice('landed: '.length));
      const last = passed.at(-1);
      if (last) last.landed += 1;
      console.log(`  hit       ${result.landed.at(-1)}`);
    } else if (type === 'test:pass' && !data.name?.endsWith(ending)) {
      passed.push({ name: data.name ?? '', landed: 0 });
      console.log(`  survived  ${data.name}`);
    } else if (type === 'test:fail') {
      const cause = data.details?.error?.cause;
      result.failures.push(`${data.name}: ${cause instanceof Error ? cause.message : String(data.details?.error?.message)}`);
      console.log(`  FAILED    ${result.failures.at(-1)}`);
    }
  }
  const vain = passed.length === 0 ? ['no test passed'] : passed.flatMap(({ name, landed }) => (landed === 0 ? [`${name}: no fault was seen to land`] : []));
  if (result.failures.length > 0) return;
  result.failures.push(...vain);
  for (const failure of vain) console.log(`  FAILED    ${failure}`);
}

function summarize(results: Result[]): number {
  const failed = results.filter(({ failures }) => failures.length > 0);
  console.log(`\n${'scenario'.padEnd(24)} ${'seed'.padEnd(8)} ${'faults'.padEnd(7)} ${'seconds'.padEnd(8)} result`);
  for (const { scenario, seed, landed, seconds, failures } of results) {
    console.log(`${scenario.padEnd(24)} ${String(seed).padEnd(8)} ${String(landed.length).padEnd(7)} ${String(seconds).padEnd(8)} ${failures.length === 0 ? 'survived' : 'FAILED'}`);
  }
  console.log(`\n${results.length - failed.length} survived, ${failed.length} failed${stop.signal.aborted ? ', cut short' : ''}`);
  return failed.length > 0 || stop.signal.aborted ? 1 : 0;
}
