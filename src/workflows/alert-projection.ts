/**
 * Keeps Redis' picture of an alert up to date, one write at a time, always of the newest state.
 * Invariant: it never holds up the alert itself; a Redis that is away is waited for, and an alert is not over before Redis says so.
 */
import { CancellationScope, condition, isCancellation, proxyActivities } from '@temporalio/workflow';
import type { AlertActivities, AlertCarry } from './alert-contract.ts';
import { messageOf } from './failure-text.ts';

const { projectAlert } = proxyActivities<AlertActivities>({
  startToCloseTimeout: '10 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
  summary: 'state → Redis',
});

/** Counts that change many times a second are written this often. */
const countsEveryMs = 5000;

export class AlertProjection {
  readonly #carry: AlertCarry;
  readonly #changed: () => void;
  /** What Redis was last told. */
  #shown = { status: '', counts: '' };
  #isDirty = false;
  #isUrgent = false;
  #isWriting = false;
  #suspending = false;
  #scope: CancellationScope | undefined;

  constructor(carry: AlertCarry, changed: () => void) {
    this.#carry = carry;
    this.#changed = changed;
  }

  get isClean(): boolean {
    return !this.#isDirty && !this.#isWriting;
  }

  /** The state may have changed: another status is written at once, counts within some seconds. */
  touch(): void {
    const { status, counts } = this.#current;
    if (status === this.#shown.status && counts === this.#shown.counts) return;
    this.#isDirty = true;
    if (status !== this.#shown.status) this.#isUrgent = true;
    if (this.#isWriting || this.#suspending) return;
    const isCancelled = CancellationScope.current().consideredCancelled; // there every write ends before it begins
    void (isCancelled ? CancellationScope.nonCancellable(() => this.#write()) : this.#write());
  }

  /** Stands still; the run that follows writes anew. */
  async suspend(): Promise<void> {
    this.#suspending = true;
    this.#scope?.cancel();
    await condition(() => !this.#isWriting);
  }

  /** Goes on after all: the workflow was cancelled, no run follows. */
  resume(): void {
    this.#suspending = false;
  }

  get #current(): { status: string; counts: string } {
    const { status, occurrences, value } = this.#carry.state;
    return { status, counts: `${occurrences} ${value}` };
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    let isStopped = false;
    while (this.#isDirty && !isStopped) {
      const isAwake = await this.#pause();
      isStopped = !isAwake || this.#suspending || !(await this.#writeOnce());
    }
    this.#isWriting = false;
    this.#changed();
  }

  /** False when the workflow is being cancelled. */
  async #pause(): Promise<boolean> {
    try {
      if (!this.#isUrgent) await condition(() => this.#isUrgent || this.#suspending, countsEveryMs);
      return true;
    } catch (error) {
      if (isCancellation(error)) return false;
      throw error;
    }
  }

  /** False when it was stopped; then it is still to be written. */
  async #writeOnce(): Promise<boolean> {
    const { type, entity, episode, severity, value, threshold, window, status, occurrences, openedAt } = this.#carry.state;
    this.#isDirty = false;
    this.#isUrgent = false;
    this.#shown = this.#current;
    this.#scope = new CancellationScope();
    try {
      await this.#scope.run(() => projectAlert({ type, entity, episode, severity, value, threshold, window, status, occurrences, openedAt }));
      return true;
    } catch (error) {
      const wasStopped = isCancellation(error) || this.#suspending;
      if (!wasStopped) this.#carry.state.note = `Redis does not show it: ${messageOf(error)}`;
      this.#isDirty = wasStopped;
      if (wasStopped) this.#shown = { status: '', counts: '' };
      return !wasStopped;
    }
  }
}
