/**
 * `npm test [-- <filter> …]`: every suite with node's test runner and one summary; with filters, the files whose path
 * contains one of them. Beside the files that share the real stack, one after another while it is up, run those that need none.
 * Invariant: the stack that was started here is gone when this ends, whatever the tests did.
 */
import { setMaxListeners } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';

interface TestEvent {
  type: string;
  data: { nesting: number; message?: string };
}

interface Phase {
  suites: string[];
  /** Which files: those that use the one stack, while it is up; those that start their own; those that need at most single servers. */
  stack: Stack;
}

type Stack = 'shared' | 'own' | 'none';

/** One after the other; what stands in one line runs at the same time, so there is one stack at most. */
const phases: Phase[][] = [
  [{ suites: ['architecture', 'unit', 'property', 'workflow', 'replay', 'integration'], stack: 'none' }, { suites: ['chaos', 'integration'], stack: 'shared' }],
  [{ suites: ['integration', 'e2e'], stack: 'own' }],
];
const fileTimeoutMs = 30 * 60_000;
const counterShape = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/;

const filters = process.argv.slice(2);
const stop = new AbortController();
setMaxListeners(0, stop.signal); // one listener per running file
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

try {
  await pipeline(runPhases(), new spec(), process.stdout, { end: false });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

/** The events of all phases as of one run: the counters at the end of each are added up. */
async function* runPhases(): AsyncGenerator<TestEvent> {
  const totals = new Map<string, number>();
  for (const together of phases) {
    for await (const event of merge(together.map(runPhase))) {
      if (event.type === 'test:fail') process.exitCode = 1;
      const [, name, count] = (event.type === 'test:diagnostic' && event.data.nesting === 0 && counterShape.exec(event.data.message ?? '')) || [];
      if (name !== undefined) totals.set(name, (totals.get(name) ?? 0) + Number(count));
      else if (event.type !== 'test:start') yield event; // the reporter takes a start for that of the next result
    }
  }
  if (totals.size === 0) throw new Error(`No test file has ${filters.join(' or ')} in its path.`);
  for (const [name, total] of totals) yield { type: 'test:diagnostic', data: { nesting: 0, message: `${name} ${total}` } };
}

/** What comes first, first. Ends when all have ended, and fails with the first that fails. */
async function* merge(runs: AsyncIterable<TestEvent>[]): AsyncGenerator<TestEvent> {
  const merged = new PassThrough({ objectMode: true });
  const read = async (run: AsyncIterable<TestEvent>): Promise<void> => {
    for await (const event of run) merged.write(event);
  };
  const fail = (error: Error): void => {
    stop.abort();
    merged.destroy(error);
  };
  void Promise.all(runs.map(read)).then(() => merged.end(), fail);
  yield* merged;
}

async function* runPhase({ suites, stack: kind }: Phase): AsyncGenerator<TestEvent> {
  const files = suites.flatMap(testFiles).filter((path) => stackOf(path) === kind && (filters.length === 0 || filters.some((filter) => path.includes(filter))));
  if (files.length === 0 || stop.signal.aborted) return;
  const stack = kind === 'shared' ? await startSharedStack() : null;
  try {
    yield* run({ files, concurrency: 1, timeout: fileTimeoutMs, signal: stop.signal }) as AsyncIterable<TestEvent>;
  } finally {
    await stack?.stop();
  }
}

function stackOf(path: string): Stack {
  if (!/\/(integration|chaos|e2e)\//.test(path)) return 'none';
  const text = readFileSync(path, 'utf8');
  return text.includes('useStack(') ? 'shared' : /startStack\(|runSluice\(|bin\/sluice/.test(text) ? 'own' : 'none';
}

async function startSharedStack(): Promise<{ stop: () => Promise<void> }> {
  console.log('starting the real stack for the tests …');
  const { startStack } = await import('../test/stack.ts');
  const stack = await startStack({ SLUICE_STREAM: 'off' }); // whoever needs the stream starts a stack of its own
  process.env['SLUICE_TEST_STACK'] = JSON.stringify({ dir: stack.dir, env: stack.env });
  return stack;
}

/** `test/<suite>.test.ts`, or everything below `test/<suite>/`. */
function testFiles(suite: string): string[] {
  const folder = join('test', suite);
  if (!existsSync(folder)) return [`${folder}.test.ts`];
  const names = readdirSync(folder, { recursive: true }) as string[];
  return names.filter((name) => name.endsWith('.test.ts')).sort().map((name) => join(folder, name));
}
