// Puts a checkout in order before anything of it can run: installs node_modules when they are not those of
// package-lock.json, builds dist/ when sources changed. Plain JavaScript without dependencies: on a fresh clone there is
// nothing else. Invariant: two at once do not mix; a build that failed is not taken for one.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const at = (...parts) => join(root, ...parts);
const stamped = (text) => `[${(performance.now() / 1000).toFixed(1).padStart(5)} s] ${text}`;
const say = (text) => console.error(stamped(text));

/** Exits with one message when the machine lacks something; otherwise leaves node_modules and dist/ up to date. */
export async function bootstrap() {
  const missing = missingPlatform();
  if (missing.length > 0) {
    console.error(`Sluice cannot start here:\n${missing.map((line) => `  - ${line}`).join('\n')}`);
    process.exit(1);
  }
  const lock = await takeLock();
  try {
    if (!isInstalled()) await step('Installing node_modules by npm ci (about 500 MB on disk, once)', 'build, servers (about 240 MB, once), start', 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund']);
    await build();
    linkCommand();
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  } finally {
    lock.close();
  }
}

function missingPlatform() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const missing = [];
  if (major < 20 || (major === 20 && minor < 19)) missing.push(`Node.js >= 20.19 is needed, this is ${process.versions.node}: install it from nodejs.org or your distribution`);
  if (process.platform !== 'linux') missing.push(`The embedded servers need Linux, this is ${process.platform}: use a Linux machine, container or virtual machine`);
  return missing;
}

/** npm records what it installed; a package of another platform is rightly absent. */
function isInstalled() {
  const record = at('node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const wanted = JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  return Object.entries(wanted).every(([path, { version, optional }]) => path === '' || (installed[path] ? installed[path].version === version : optional));
}

async function build() {
  const compiled = hashOf(['src', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']);
  await unlessStamped('build', compiled, async () => {
    await step('Building', 'start', process.execPath, [at('node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json']);
    for (const file of filesIn('src').filter((name) => name.endsWith('.lua'))) {
      mkdirSync(at('dist', file, '..'), { recursive: true });
      copyFileSync(at('src', file), at('dist', file));
    }
  });
  if (!existsSync(at('dist/main/bundle-workflows.js'))) return;
  const bundled = hashOf(['src/workflows', 'src/domain', 'src/main/bundle-workflows.ts', 'package-lock.json']);
  await unlessStamped('workflows', bundled, () => step('Bundling workflows', 'start', process.execPath, [at('dist/main/bundle-workflows.js')]));
}

async function unlessStamped(name, hash, work) {
  const stamp = at('dist', `.${name}-stamp`);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  rmSync(stamp, { force: true });
  await work();
  writeFileSync(stamp, hash);
}

const filesIn = (folder) =>
  readdirSync(at(folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(at(folder).length + 1))
    .sort();

function hashOf(paths) {
  const hash = createHash('sha256');
  for (const path of paths) {
    const files = path.startsWith('src') && !path.endsWith('.ts') ? filesIn(path).map((name) => join(path, name)) : [path];
    for (const file of files) hash.update(file).update('\0').update(readFileSync(at(file))).update('\0');
  }
  return hash.digest('hex');
}

/** So that `npx sluice` finds the command at once. */
function linkCommand() {
  const link = at('node_modules/.bin/sluice');
  if (!existsSync(link)) symlinkSync('../../bin/sluice.mjs', link);
}

/**
 * Runs a program; what it prints is shown only when it fails. A terminal shows how long it takes and what comes after it
 * in one line that is written over.
 */
async function step(label, next, file, args) {
  const began = performance.now();
  const took = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  const { isTTY, columns } = process.stderr;
  const show = () => process.stderr.write(`\r\u001B[K${stamped(`… ${label} (${took()}), then ${next}`).slice(0, (columns || 80) - 1)}`);
  if (!isTTY) say(`${label} …`);
  const refresh = isTTY ? setInterval(show, 500) : undefined;
  try {
    await run(label, file, args);
  } finally {
    clearInterval(refresh);
    if (isTTY) process.stderr.write('\r\u001B[K');
  }
  say(`${label}: done (${took()})`);
}

function run(label, file, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (printed = (printed + chunk).slice(-8000)));
    child.on('error', reject).on('close', (code) => (code === 0 ? resolve() : reject(new Error(`${label} failed (exit code ${code}):\n${printed}`))));
  });
}

/** An abstract socket: the kernel frees it when its holder dies (the same idea as src/stack/lock.ts). */
async function takeLock() {
  const name = `\0sluice-bootstrap-${createHash('sha256').update(root).digest('hex').slice(0, 32)}`;
  for (let told = false; ; told = true) {
    const server = createServer();
    const taken = await new Promise((resolve, reject) => {
      server.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error))).listen(name, () => resolve(true));
    });
    if (taken) return server;
    if (!told) say('Another start is installing or building here: waiting for it');
    await wait(200);
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await bootstrap();
