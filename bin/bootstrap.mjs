// Puts a checkout in order before anything of it can run: installs node_modules when they are not those of
// package-lock.json, builds dist/ when sources changed. Plain JavaScript without dependencies: on a fresh clone there is
// nothing else. Invariant: two at once do not mix; a build that failed is not taken for one.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const at = (...parts) => join(root, ...parts);
const say = (text) => console.error(`[${(performance.now() / 1000).toFixed(1).padStart(5)} s] ${text}`);

/** Exits with one message when the machine lacks something; otherwise leaves node_modules and dist/ up to date. */
export async function bootstrap({ servers }) {
  const missing = [...missingPlatform(), ...(servers ? await missingServerTools() : [])];
  if (missing.length > 0) {
    console.error(`Sluice cannot start here:\n${missing.map((line) => `  - ${line}`).join('\n')}`);
    process.exit(1);
  }
  const lock = await takeLock();
  try {
    if (!isInstalled()) await step('Installing node_modules (npm ci)', 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund']);
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

/** What the embedded servers need besides Node, each with the Debian package that brings it; nothing for servers whose address is given. */
async function missingServerTools() {
  const settings = { ...(existsSync(at('.env')) && (await import('node:util')).parseEnv(readFileSync(at('.env'), 'utf8'))), ...process.env };
  return [...(settings.KAFKA_BROKER && settings.CONNECT_URL ? [] : await missingForKafka()), ...(settings.REDIS_HOST && settings.TEMPORAL_ADDRESS ? [] : await missingForWheels())];
}

async function missingForKafka() {
  const missing = [];
  const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin/java') : 'java';
  const version = /version "(\d+)/.exec((await output(java, ['-version'])) ?? '')?.[1];
  if (!version) missing.push('Java >= 17 is missing: apt install openjdk-17-jre-headless');
  else if (Number(version) < 17) missing.push(`Java >= 17 is needed, ${java} is ${version}: apt install openjdk-17-jre-headless`);
  if (!isOnPath('mvn')) missing.push('Maven is missing: apt install maven');
  return missing;
}

async function missingForWheels() {
  if (!isOnPath('python3')) return ['Python 3 is missing: apt install python3 python3-venv'];
  return (await output('python3', ['-c', 'import venv, ensurepip'])) === null ? ['Python\'s venv module is missing: apt install python3-venv'] : [];
}

function isOnPath(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Everything a program prints, or null when it cannot be run or fails. */
function output(file, args) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk));
    child.on('error', () => resolve(null)).on('close', (code) => resolve(code === 0 ? text : null));
  });
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
    await step('Building', process.execPath, [at('node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json']);
    for (const file of filesIn('src').filter((name) => name.endsWith('.lua'))) {
      mkdirSync(at('dist', file, '..'), { recursive: true });
      copyFileSync(at('src', file), at('dist', file));
    }
  });
  if (!existsSync(at('dist/main/bundle-workflows.js'))) return;
  const bundled = hashOf(['src/workflows', 'src/domain', 'src/main/bundle-workflows.ts', 'package-lock.json']);
  await unlessStamped('workflows', bundled, () => step('Bundling workflows', process.execPath, [at('dist/main/bundle-workflows.js')]));
}

async function unlessStamped(name, hash, work) {
  const stamp = at('dist', `.${name}-stamp`);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
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

/** Runs a program; what it prints is shown only when it fails. */
async function step(label, file, args) {
  const began = performance.now();
  say(`${label} …`);
  const text = await new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (printed = (printed + chunk).slice(-8000)));
    child.on('error', reject).on('close', (code) => (code === 0 ? resolve(printed) : reject(new Error(`${label} failed (exit code ${code}):\n${printed}`))));
  });
  say(`${label}: done (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  return text;
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

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await bootstrap({ servers: false });
