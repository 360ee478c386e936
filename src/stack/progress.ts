/** Steps of a start as plain lines with the time since the command began; the same on a terminal, in a file and over IPC. */

export type Say = (line: string) => void;

export interface Progress {
  say: Say;
  /** Runs one step and says how long it took; while it lasts, says so every few seconds. */
  step: <T>(name: string, work: () => Promise<T>, detail?: (result: T) => string) => Promise<T>;
}

const reminderMs = 10_000;

/** `elapsedMs` counts from where the person pressed Enter. */
export function createProgress(print: Say, elapsedMs: () => number = () => performance.now()): Progress {
  const say: Say = (line) => print(`[${formatSeconds(elapsedMs()).padStart(7)}] ${line}`);
  return {
    say,
    step: async (name, work, detail) => {
      const began = elapsedMs();
      const took = (): string => formatSeconds(elapsedMs() - began);
      const reminder = setInterval(() => say(`${name} … (${took()} so far)`), reminderMs);
      try {
        const result = await work();
        say(`${name}${detail ? `: ${detail(result)}` : ''} (${took()})`);
        return result;
      } finally {
        clearInterval(reminder);
      }
    },
  };
}

const formatSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
