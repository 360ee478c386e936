/**
 * The screen of `npm start`: looks at the stack, draws once a second, does what the keys say.
 * Invariant: what cannot be read or done is told on the screen; nothing that goes wrong here stops the stack.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { urlsOf } from '../../access.ts';
import { createKeys } from '../../domain/keys.ts';
import { plannedAnomalies } from '../../generator/anomaly.ts';
import { createFiguresReader } from '../../stack/figures.ts';
import { layoutOf } from '../../stack/project.ts';
import type { RunningStack } from '../../stack/run-stack.ts';
import { readStackRecord } from '../../stack/state-file.ts';
import { connectReplica, createStatusReader, lagOf } from '../../stack/status.ts';
import type { LiveLines } from '../live-lines.ts';
import { screen, type ScreenState } from './draw.ts';
import { createEventRate } from './event-rate.ts';
import { createShopActions } from './shop-actions.ts';
import { openTerminal } from './terminal.ts';

const drawMs = 1000;
const figuresMs = 1000;
const statusMs = 5000;
const logMost = 500;

/** Resolves when the stack is asked to stop. */
export async function showLiveScreen(stack: RunningStack, lines: LiveLines): Promise<void> {
  const { settings, signal, say } = stack;
  const nowMs = Date.now();
  const state: ScreenState = { nowMs, sinceMs: nowMs, problems: null, processes: [], lag: null, figures: null, eventsPerSecond: null, urls: urlsOf(settings), log: [], mode: 'figures' };
  const { stateFile } = layoutOf(settings.SLUICE_DATA_DIR);
  const draw = (): void => {
    state.nowMs = Date.now();
    state.processes = readStackRecord(stateFile)?.processes ?? state.processes;
    terminal.draw(screen(state, terminal.size()));
  };
  const onKey = createKeyHandler(stack, state, draw);
  const terminal = openTerminal(onKey, draw);
  signal.addEventListener('abort', leave, { once: true });
  function leave(): void {
    lines.divert(null);
    terminal.close();
  }
  lines.divert((line) => {
    state.log.push(...line.split('\n'));
    state.log.splice(0, state.log.length - logMost);
  });
  const redraw = setInterval(draw, drawMs);
  try {
    say('The stack is up.');
    draw();
    await Promise.all([lookAtFigures(stack, state), lookAtStatus(stack, state)]);
  } finally {
    clearInterval(redraw);
    leave();
  }
}

async function lookAtStatus({ settings, signal }: RunningStack, state: ScreenState): Promise<void> {
  const readStatus = createStatusReader(settings);
  while (!signal.aborted) {
    const status = await readStatus();
    state.problems = status.problems;
    state.lag = lagOf(status);
    await wait(statusMs, undefined, { signal }).catch(() => undefined);
  }
}

/** A Redis that is away or silent leaves the last figures there; the screen tells their age. */
async function lookAtFigures({ settings, signal }: RunningStack, state: ScreenState): Promise<void> {
  const redis = connectReplica(settings, 'sluice-screen');
  const readFigures = createFiguresReader(redis, createKeys(settings.REDIS_KEY_PREFIX));
  const rate = createEventRate();
  signal.addEventListener('abort', () => void redis.close(), { once: true }); // also ends a reading that waits for a frozen server
  while (!signal.aborted) {
    const figures = await readFigures().catch(() => null);
    if (figures) {
      const readMs = Date.now();
      state.figures = { ...figures, readMs };
      state.eventsPerSecond = rate(Object.values(figures.events).reduce((sum, count) => sum + count, 0n), readMs);
    }
    await wait(figuresMs, undefined, { signal }).catch(() => undefined);
  }
}

function createKeyHandler(stack: RunningStack, state: ScreenState, draw: () => void): (key: string) => void {
  const { pauseOrResume, burst, anomaly } = createShopActions(stack);
  const ofFigures: Record<string, () => void> = {
    h: () => (state.mode = 'help'),
    '?': () => (state.mode = 'help'),
    a: () => (state.mode = 'anomaly'),
    p: pauseOrResume,
    b: burst,
  };
  return (key) => {
    if (key === 'q' || key.includes('\u0003')) return void process.kill(process.pid, 'SIGINT');
    const kind = state.mode === 'anomaly' ? plannedAnomalies[Number(key) - 1] : undefined;
    if (state.mode === 'figures') ofFigures[key.toLowerCase()]?.();
    else state.mode = 'figures';
    if (kind) anomaly(kind);
    draw();
  };
}
