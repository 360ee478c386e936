/**
 * One alert: open → notified → acknowledged | snoozed → resolved. Messages and persons change its state; this loop does what time brings.
 * Invariant: one sleep at a time, moved by no occurrence: a thousand of them cost their signals and nothing else.
 */
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  ApplicationFailure,
  CancellationScope,
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  isCancellation,
  patched,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { AlertMessage } from '../domain/alert-message.ts';
import { ageText } from '../domain/alert-notice.ts';
import { acknowledgeUpdate, alertStateQuery, occurrenceSignal, overSignal, resolveUpdate, snoozeUpdate, type AlertActivities, type AlertCarry, type AlertInput, type AlertState } from './alert-contract.ts';
import { AlertOutbox } from './alert-outbox.ts';
import { AlertProjection } from './alert-projection.ts';
import { acknowledge, countOccurrence, describeAlert, isOccurrence, nextStep, openAlert, resolve, snooze, wake, whyNot, type Step } from './alert-state.ts';

const { planAlert } = proxyActivities<AlertActivities>({ startToCloseTimeout: '10 seconds', retry: { initialInterval: '1 second', maximumInterval: '1 minute' }, summary: 'routes and deadlines' });

const keys = {
  type: defineSearchAttributeKey('AlertType', 'KEYWORD'),
  severity: defineSearchAttributeKey('AlertSeverity', 'KEYWORD'),
  status: defineSearchAttributeKey('AlertStatus', 'KEYWORD'),
  entity: defineSearchAttributeKey('AlertEntity', 'KEYWORD'),
};

/** What resolves an alert when no person does. */
const ourselves = 'sluice';

export async function alertLifecycle(input: AlertInput): Promise<AlertState> {
  const alert = new Alert(input.carry ?? openAlert(input.first, Date.now()));
  alert.listen();
  try {
    alert.carry.plan ??= await planAlert({ type: input.first.type, severity: input.first.severity });
    if (await alert.live()) return alert.carry.state;
  } catch (error) {
    if (isCancellation(error)) await CancellationScope.nonCancellable(() => alert.abandon());
    throw error;
  }
  return continueAsNew<typeof alertLifecycle>({ first: input.first, carry: alert.carry });
}

class Alert {
  readonly carry: AlertCarry;
  readonly #outbox: AlertOutbox;
  readonly #projection: AlertProjection;
  #isAwake = false;
  #shownStatus = '';

  constructor(carry: AlertCarry) {
    this.carry = carry;
    const changed = (): void => this.#changed();
    this.#outbox = new AlertOutbox(carry, changed);
    this.#projection = new AlertProjection(carry, changed);
    const { type, severity, entity } = carry.state;
    upsertSearchAttributes([
      { key: keys.type, value: type },
      { key: keys.severity, value: severity },
      { key: keys.entity, value: entity },
    ]);
    this.#changed();
  }

  listen(): void {
    const { state } = this.carry;
    setHandler(defineQuery<AlertState>(alertStateQuery), () => state);
    setHandler(defineSignal<[AlertMessage]>(occurrenceSignal), (message) => this.#count(message));
    setHandler(defineSignal(overSignal), () => this.#close(ourselves, 'its cause is over'));
    setHandler(defineUpdate<AlertState, [string, string?]>(acknowledgeUpdate), (by, note = '') => this.#acknowledge(by, note), {
      validator: (by, note = '') => refuse(whyNot.acknowledge(state, by, note)),
      description: 'somebody looks after it: no further escalation',
    });
    setHandler(defineUpdate<AlertState, [string, string?]>(snoozeUpdate), (until, by = '') => this.#snooze(until, by), {
      validator: (until, by = '') => refuse(whyNot.snooze(state, until, by, Date.now())),
      description: 'say nothing until then, and once more after that',
    });
    setHandler(defineUpdate<AlertState, [string, string?]>(resolveUpdate), (by, reason = '') => this.#resolve(by, reason), {
      validator: (by, reason = '') => refuse(whyNot.resolve(state, by, reason)),
      description: 'it is over',
    });
  }

  /** Until it is over (true), or until the history is long enough (false): then everything that is queued is in `carry`. */
  async live(): Promise<boolean> {
    this.#outbox.resume();
    for (;;) {
      this.#isAwake = false;
      if (workflowInfo().continueAsNewSuggested) break;
      if (this.#isOver) return true;
      const step = nextStep(this.carry);
      const waitMs = step === null ? 0 : step.atMs - Date.now();
      const isDue = (): boolean => this.#isAwake || workflowInfo().continueAsNewSuggested;
      if (step !== null && waitMs <= 0) this.#take(step);
      else if (step === null) await condition(isDue);
      else await condition(isDue, waitMs);
    }
    await Promise.all([this.#outbox.suspend(), this.#projection.suspend()]);
    await condition(allHandlersFinished);
    return false;
  }

  /** Of a workflow that is cancelled: nobody is told, but Redis does not call it open. */
  async abandon(): Promise<void> {
    resolve(this.carry, ourselves, 'its workflow was cancelled', Date.now());
    if (patched('abandon-whatever-it-waits-for')) {
      this.#projection.resume();
      this.#outbox.abandon();
    } else this.#outbox.withdraw();
    await condition(() => this.#outbox.isIdle);
    this.#changed();
    await condition(() => this.#projection.isClean);
  }

  get #isOver(): boolean {
    return this.carry.state.status === 'resolved' && this.#outbox.isIdle && this.#projection.isClean && allHandlersFinished();
  }

  #count(message: AlertMessage): void {
    if (isOccurrence(message) && countOccurrence(this.carry, message, Date.now())) this.#show();
  }

  #acknowledge(by: string, note: string): AlertState {
    acknowledge(this.carry, by, note, Date.now());
    return this.#withdraw();
  }

  #snooze(until: string, by: string): AlertState {
    snooze(this.carry, until, by, Date.now());
    return this.#withdraw();
  }

  #resolve(by: string, reason: string): AlertState {
    this.#close(by, reason);
    return this.carry.state;
  }

  #withdraw(): AlertState {
    this.#outbox.withdraw();
    this.#changed();
    return this.carry.state;
  }

  /** The first word holds; whoever was told of the alert is told of its end. */
  #close(by: string, reason: string): void {
    if (!resolve(this.carry, by, reason, Date.now())) return;
    this.#outbox.withdraw();
    this.#outbox.announceResolved(reason);
    this.#changed();
  }

  #take(step: Step): void {
    const { state, plan } = this.carry;
    switch (step.what) {
      case 'quiet':
        return this.#close(ourselves, `quiet for ${ageText((plan?.quietSeconds ?? 0) * 1000)}`);
      case 'wake':
        wake(this.carry, Date.now());
        this.#outbox.announce('reminded', this.carry.reminders);
        break;
      case 'escalate':
        state.level = step.level;
        this.#outbox.announce('escalated', step.level);
        break;
    }
    this.#changed();
  }

  /** The loop looks anew at what is due. */
  #changed(): void {
    this.#isAwake = true;
    this.#show();
  }

  #show(): void {
    const { state } = this.carry;
    setCurrentDetails(describeAlert(state));
    this.#projection.touch();
    if (this.#shownStatus === state.status) return;
    this.#shownStatus = state.status;
    upsertSearchAttributes([{ key: keys.status, value: state.status }]);
  }
}

function refuse(why: string): void {
  if (why) throw ApplicationFailure.nonRetryable(why, 'alert_refused');
}
