/** Parts f and h: where a consumer's CPU goes, function by function, from V8's sampling profiler over one run. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { round, table } from './figures.ts';
import type { Lab, LabRedis } from './lab.ts';
import { runApply, type Measured, type Workload } from './runs.ts';

interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  timeDeltas: number[];
}

export interface ProfileResult {
  workload: Workload;
  /** Time the process was busy, seconds, its start left out as far as the profile tells. */
  busySeconds: number;
  /** Share of the busy time by origin, per cent. */
  origins: Record<string, number>;
  functions: { name: string; origin: string; percent: number }[];
}

const shown = 40;
const idle = new Set(['(idle)', '(program)']);

export async function measureProfile(lab: Lab, target: LabRedis, workload: Workload, program: NonNullable<Measured['program']>): Promise<ProfileResult> {
  const folder = join(lab.dir, 'profile', program);
  mkdirSync(folder, { recursive: true });
  await runApply(lab, target, workload, { program, nodeArgs: ['--cpu-prof', `--cpu-prof-dir=${folder}`] });
  const profile = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]!), 'utf8')) as CpuProfile;
  return { workload, ...summarise(profile) };
}

function summarise({ nodes, samples, timeDeltas }: CpuProfile): Omit<ProfileResult, 'workload'> {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const functions = new Map<string, { origin: string; us: number }>();
  let busy = 0;
  for (const [i, id] of samples.entries()) {
    const { functionName, url, lineNumber } = frames.get(id)!;
    if (idle.has(functionName)) continue;
    const us = timeDeltas[i] ?? 0;
    const origin = originOf(url, functionName);
    const name = `${functionName || '(anonymous)'} ${url === '' ? '' : `${shortPath(url)}:${lineNumber + 1}`}`.trim();
    const known = functions.get(name) ?? { origin, us: 0 };
    known.us += us;
    busy += us;
    functions.set(name, known);
  }
  const percent = (us: number): number => round((us / busy) * 100, 1);
  const origins = new Map<string, number>();
  for (const { origin, us } of functions.values()) origins.set(origin, (origins.get(origin) ?? 0) + us);
  const byTime = [...functions].sort(([, a], [, b]) => b.us - a.us);
  return {
    busySeconds: round(busy / 1e6, 1),
    origins: Object.fromEntries([...origins].sort(([, a], [, b]) => b - a).map(([origin, us]) => [origin, percent(us)])),
    functions: byTime.slice(0, shown).map(([name, { origin, us }]) => ({ name, origin, percent: percent(us) })),
  };
}

function originOf(url: string, name: string): string {
  if (name === '(garbage collector)') return 'garbage collector';
  const library = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (library) return library;
  if (url.startsWith('node:')) return 'Node.js';
  return url === '' ? 'V8 built-ins' : 'Sluice';
}

const shortPath = (url: string): string => url.replace(/^.*\/(dist|node_modules)\//, '');

export const profileTable = ({ origins, functions }: ProfileResult): string =>
  [
    table(['origin', '% of busy time'], Object.entries(origins)),
    table(['function', '% of busy time'], functions.slice(0, 25).map(({ name, percent }) => [`\`${name}\``, percent])),
  ].join('\n\n');
