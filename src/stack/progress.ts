/**
 * Steps of a start as plain lines with the time since the command began; the same on a terminal, in a file and over IPC.
 * A terminal shows below them what is being done and what is still to come.
 */

export type Say = (line: string) => void;

export interface StepOptions<T> {
  /** What must be there before it begins; until then it is one of the steps to come. */
  after?: Promise<unknown>[];
  detail?: (result: T) => string;
}

export interface Progress {
  say: Say;
  /** Runs one step and says how long it took; while it lasts, shows it, or says so every few seconds. */
  step: <T>(name: string, work: () => Promise<T>, options?: StepOptions<T>) => Promise<T>;
}

export interface ProgressOptions {
  /** Shows lines in place of those it was given before; without it nobody sees them. */
  show?: (lines: string[]) => void;
  /** Counts from where the person pressed Enter. */
  elapsedMs?: () => number;
}

const reminderMs = 10_000;
const refreshMs = 500;

export function createProgress(print: Say, { show, elapsedMs = () => performance.now() }: ProgressOptions = {}): Progress {
  const say: Say = (line) => print(`[${formatSeconds(elapsedMs()).padStart(7)}] ${line}`);
  const running = new Map<string, number>();
  const waiting = new Set<string>();
  let done = 0;
  let refresh: NodeJS.Timeout | undefined;
  const refreshView = (): void => {
    clearTimeout(refresh);
    show?.(describeSteps(running, waiting, done, elapsedMs()));
    if (show && running.size > 0) refresh = setTimeout(refreshView, refreshMs);
  };
  return {
    say,
    step: async (name, work, { after = [], detail } = {}) => {
      waiting.add(name);
      await Promise.all(after).finally(() => waiting.delete(name));
      const began = elapsedMs();
      const took = (): string => formatSeconds(elapsedMs() - began);
      const reminder = show ? undefined : setInterval(() => say(`${name} … (${took()} so far)`), reminderMs);
      running.set(name, began);
      refreshView();
      try {
        const result = await work();
        done += 1;
        say(`${name}${detail ? `: ${detail(result)}` : ''} (${took()})`);
        return result;
      } finally {
        clearInterval(reminder);
        running.delete(name);
        refreshView();
      }
    },
  };
}

/** A line for each step that runs, then one that says how much is left; nothing when nothing runs. */
function describeSteps(running: ReadonlyMap<string, number>, waiting: ReadonlySet<string>, done: number, nowMs: number): string[] {
  if (running.size === 0) return [];
  const lines = [...running].map(([name, began]) => `          … ${name} (${formatSeconds(nowMs - began)})`);
  const next = waiting.size === 0 ? '' : `, then ${[...waiting].join(', ')}`;
  return [...lines, `[${formatSeconds(nowMs).padStart(7)}] ${done} of ${done + running.size + waiting.size} steps${next}`];
}

const formatSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
