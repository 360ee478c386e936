/**
 * The life of one supervised program: start, ready, restart with back-off when it dies, stop within a budget.
 * Invariant: after `stop` or `kill` it is gone and nothing brings it back.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { PipelineError } from '../domain/errors.ts';
import type { Hold } from '../telemetry/failpoint.ts';
import type { Say } from './progress.ts';
import { killGroup, lastLines } from './run-command.ts';
import { readyBudgetMs, restartDelayMs, type ServerSpec } from './server-spec.ts';
import { startTimeOf, type ProcessRecord, type ProcessState } from './state-file.ts';

/** A program that stayed up this long has recovered: its next restart waits the shortest time again. */
const stableMs = 5_000;
/** After this many restarts in a row that did not last, the state is called failed (it is still tried again). */
const failedAfter = 5;
const pollMs = 100;

export class SupervisedProcess {
  readonly spec: ServerSpec;
  readonly #logFile: string;
  readonly #say: Say;
  readonly #onChange: () => void;
  readonly #hold: Hold;
  readonly #stopping = new AbortController();
  #state: ProcessState = 'stopped';
  #restarts = 0;
  #child: ChildProcess | null = null;
  #startTime: string | null = null;
  #launching: Promise<void> = Promise.resolve();
  #ended: Promise<string> = Promise.resolve('never started');

  constructor(spec: ServerSpec, options: { logFile: string; say: Say; onChange: () => void; hold?: Hold }) {
    this.spec = spec;
    this.#logFile = options.logFile;
    this.#say = options.say;
    this.#onChange = options.onChange;
    this.#hold = options.hold ?? (async () => undefined);
  }

  get record(): ProcessRecord {
    const { name, ports } = this.spec;
    return { name, pid: this.#child?.pid ?? null, startTime: this.#startTime, ports, state: this.#state, restarts: this.#restarts };
  }

  /** Resolves when it is ready; from then on it is kept alive. Throws server_failed when its first starts fail. */
  async start(): Promise<void> {
    this.#enter('starting');
    for (let starts = 1; ; starts += 1) {
      try {
        await (this.#launching = this.#launch());
        break;
      } catch (error) {
        if (!this.#stopping.signal.aborted && starts < (this.spec.firstStartsMost ?? 1)) continue;
        this.#enter('failed');
        throw error;
      }
    }
    this.#enter('running');
    void this.#keepAlive();
    void this.#killWhenStuck();
  }

  /** Asks it to end, kills it after `budgetMs`, resolves when it is gone. */
  async stop(budgetMs: number): Promise<void> {
    this.#stopping.abort();
    this.#child?.kill(this.spec.stopSignal);
    const late = setTimeout(() => {
      this.#say(`${this.spec.name} did not stop within ${budgetMs / 1000} s: killed`);
      killGroup(this.#child?.pid);
    }, budgetMs);
    await Promise.allSettled([this.#launching, this.#ended]);
    clearTimeout(late);
    this.#enter('stopped');
  }

  kill(): void {
    this.#stopping.abort();
    killGroup(this.#child?.pid);
  }

  #enter(state: ProcessState): void {
    this.#state = state;
    this.#onChange();
  }

  async #keepAlive(): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      const since = Date.now();
      const how = await this.#ended;
      if (this.#stopping.signal.aborted) return;
      if (Date.now() - since > stableMs) attempt = 0;
      const delayMs = restartDelayMs(attempt);
      this.#enter(attempt >= failedAfter ? 'failed' : 'restarting');
      this.#say(`${this.spec.name} ended (${how}): restarting in ${delayMs / 1000} s, log ${this.#logFile}`);
      await wait(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      await this.#hold(`start.${this.spec.name}`, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      this.#restarts += 1;
      await this.#restart();
    }
  }

  async #killWhenStuck(): Promise<void> {
    const { name, stuck } = this.spec;
    if (!stuck) return;
    let looked = Date.now();
    for (let since = looked; !this.#stopping.signal.aborted; await wait(stuck.everyMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined)) {
      const isStuck = this.#state === 'running' && (await stuck.isStuck().catch(() => false));
      const slept = Date.now() - looked > stuck.forMs; // the machine did: nobody has seen it stuck meanwhile
      looked = Date.now();
      if (!isStuck || slept) since = looked;
      if (Date.now() - since < stuck.forMs || this.#stopping.signal.aborted) continue;
      this.#say(`${name} has been stuck for ${stuck.forMs / 1000} s: killed`);
      killGroup(this.#child?.pid);
      since = Date.now();
    }
  }

  async #restart(): Promise<void> {
    try {
      await (this.#launching = this.#launch());
      this.#enter('running');
      this.#say(`${this.spec.name} is back (restart ${this.#restarts})`);
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#say(error instanceof Error ? error.message : String(error));
    }
  }

  /** Spawns and waits until ready. When it throws, nothing of this attempt is left running. */
  async #launch(): Promise<void> {
    const { file, args, ...options } = await this.spec.command(this.#stopping.signal);
    this.#stopping.signal.throwIfAborted();
    const log = openSync(this.#logFile, 'a', 0o600);
    const stdio = this.spec.ready === 'message' ? (['ignore', log, log, 'ipc'] as const) : (['ignore', log, log] as const);
    const child = spawn(file, args, { ...options, stdio: [...stdio], detached: true });
    closeSync(log);
    this.#child = child;
    this.#startTime = child.pid === undefined ? null : startTimeOf(child.pid);
    this.#ended = endOf(child).then((how) => {
      this.#child = null;
      this.#startTime = null;
      return how;
    });
    this.#onChange();
    const settled = new AbortController();
    try {
      await Promise.race([this.#untilReady(child, settled.signal), this.#failWhenEnded()]);
    } catch (error) {
      killGroup(child.pid);
      await this.#ended;
      throw error;
    } finally {
      settled.abort();
    }
  }

  async #failWhenEnded(): Promise<never> {
    const how = await this.#ended;
    this.#stopping.signal.throwIfAborted();
    throw this.#failure(`ended before it was ready (${how})`);
  }

  async #untilReady(child: ChildProcess, settled: AbortSignal): Promise<void> {
    const { ready } = this.spec;
    const deadline = Date.now() + readyBudgetMs;
    let last: unknown = null;
    let told = false;
    if (ready === 'message') child.on('message', (message) => (told ||= message === 'ready'));
    while (Date.now() < deadline && !settled.aborted) {
      if (ready === 'message') {
        if (told) return;
      } else {
        try {
          await ready();
          return;
        } catch (error) {
          last = error;
        }
      }
      await wait(pollMs);
    }
    throw this.#failure(`was not ready within ${readyBudgetMs / 1000} s${last instanceof Error ? ` (${last.message})` : ''}`);
  }

  #failure(reason: string): PipelineError {
    const { name } = this.spec;
    const message = `${name} ${reason}. The end of ${this.#logFile}:\n${lastLines(readFileSync(this.#logFile, 'utf8'))}`;
    return new PipelineError('server_failed', message, { details: { name, logFile: this.#logFile } });
  }
}

/** Resolves with how it ended; also when it could not even be started. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}
