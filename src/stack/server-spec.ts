/** What the supervisor must know of a program to start it, see that it is ready, and stop it. */
import { consumersMax } from '../config.ts';
import { consumerNames, type ProcessName } from './state-file.ts';

export interface Command {
  file: string;
  args: string[];
  /** The whole environment of the child. */
  env: Record<string, string>;
  cwd?: string;
  uid?: number;
  gid?: number;
}

export interface ServerSpec {
  name: ProcessName;
  ports: number[];
  /** Runs before every start, so a restart may choose new ports or put its files in order. `signal`: stop preparing. */
  command: (signal: AbortSignal) => Promise<Command>;
  /** One attempt, repeated until it resolves; or `message`: a Node process that sends `ready` over its channel. */
  ready: (() => Promise<unknown>) | 'message';
  stopSignal: 'SIGTERM' | 'SIGINT';
  /** How often a first start is tried; once when not given. */
  firstStartsMost?: number;
  /** For a program that may run on and never do its work again: killed when so at each look for as long as `forMs`. */
  stuck?: { isStuck: () => Promise<boolean>; everyMs: number; forMs: number };
}

/** How long a start may take until it counts as failed. */
export const readyBudgetMs = 120_000;

/** Stop order: who writes first goes first. Within a stage all stop at once; after its budget a process is killed. */
export const stopStages: { names: readonly ProcessName[]; budgetMs: number }[] = [
  { names: ['generator', ...consumerNames(consumersMax), 'stream-consumer', 'alerts-consumer', 'worker'], budgetMs: 4500 },
  { names: ['connect', 'temporal'], budgetMs: 4500 },
  { names: ['kafka', 'postgres', 'redis'], budgetMs: 5500 },
];

/** Pause before restart number `attempt` (0 first): doubles from half a second to thirty. */
export const restartDelayMs = (attempt: number): number => Math.min(500 * 2 ** Math.min(attempt, 10), 30_000);

const basics = new Set(['PATH', 'HOME', 'TMPDIR', 'JAVA_HOME', 'JAVA_TOOL_OPTIONS']);

/** The few variables a server needs of ours; everything else it is told by name. */
export function serverEnvironment(inherited: Record<string, string>, extra: Record<string, string> = {}): Record<string, string> {
  const kept = Object.fromEntries(Object.entries(inherited).filter(([name]) => basics.has(name)));
  return { ...kept, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...extra };
}
