/**
 * `npm run check [-- --no-tests]`: everything that needs no server. Stops at the first failure and shows its output.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const bin = (name) => `node_modules/.bin/${name}`;
const withTests = !process.argv.includes('--no-tests');
const tests = (filter) => [process.execPath, '--import', 'tsx', 'scripts/test.ts', filter];

/** Each step: its name, then the program and its arguments. */
const steps = [
  ['install and build', process.execPath, 'bin/bootstrap.mjs'],
  ['types', bin('tsc'), '-p', 'tsconfig.json', '--checkers', '2'],
  ['lint', bin('oxlint'), '--type-aware', '--deny-warnings', '--threads=2'],
  ...(withTests ? [['architecture', ...tests('test/architecture')], ['unit tests', ...tests('test/unit/')], ['property tests', ...tests('test/property/')]] : []),
  ['dead code', bin('knip'), '--no-progress'],
  ['compose file', 'docker', 'compose', 'config', '-q', '--no-interpolate'],
];

const startedMs = performance.now();
for (const [name, program, ...args] of steps) {
  if (program === 'docker' && spawnSync(program, ['compose', 'version']).status !== 0) {
    console.log(`${name} skipped: there is no docker compose here`);
    continue;
  }
  const stepMs = performance.now();
  process.stdout.write(`${name} …`);
  const { status, error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 2 ** 28 });
  const took = `${((performance.now() - stepMs) / 1000).toFixed(1)} s`;
  console.log(status === 0 ? ` ok (${took})` : ` FAILED (${took})`);
  if (status !== 0) {
    console.error(error ? `${program}: ${error.message}` : `${stdout}${stderr}`);
    process.exit(1);
  }
}
console.log(`all checks passed in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
