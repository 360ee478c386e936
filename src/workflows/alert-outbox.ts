/**
 * What an alert has to say: first through the storm gate, then to each channel in order, each channel by itself.
 * Invariant: what is queued is in the carried state, so nothing is lost when the workflow continues as new; a channel never waits for another.
 */
import { ActivityFailure, ApplicationFailure, CancellationScope, TimeoutFailure, condition, isCancellation, patched, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { AlertLevel } from '../domain/alert.ts';
import type { AlertFacts, Channel, Notice, NoticeKind } from '../domain/alert-notice.ts';
import { noticeText } from '../domain/alert-notice.ts';
import type { Admission, AlertActivities, AlertCarry, Announcement, Delivery, NoticeResult } from './alert-contract.ts';
import { addNotification } from './alert-state.ts';
import { messageOf } from './failure-text.ts';

/** While Redis is away an alert is told alone: too many notices are better than none. */
const gate = proxyActivities<AlertActivities>({ startToCloseTimeout: '5 seconds', scheduleToCloseTimeout: '30 seconds', retry: { initialInterval: '500 milliseconds', maximumInterval: '5 seconds' } });
/** A withdrawn delivery's attempt is waited for: whether it was delivered is known then. */
const { deliverNotice } = proxyActivities<AlertActivities>({ startToCloseTimeout: '30 seconds', cancellationType: 'WAIT_CANCELLATION_COMPLETED', retry: { initialInterval: '2 seconds', backoffCoefficient: 2, maximumInterval: '1 minute' } });

export class AlertOutbox {
  readonly #carry: AlertCarry;
  readonly #changed: () => void;
  readonly #scopes = new Map<Delivery, CancellationScope>();
  readonly #sending = new Set<Channel>();
  #admitting = false;
  #suspending = false;

  constructor(carry: AlertCarry, changed: () => void) {
    this.#carry = carry;
    this.#changed = changed;
  }

  get isIdle(): boolean {
    return this.#carry.announcements.length === 0 && this.#carry.deliveries.length === 0 && this.#isStill;
  }

  get #isStill(): boolean {
    return !this.#admitting && this.#sending.size === 0;
  }

  announce(kind: Announcement['kind'], count: number): void {
    this.#carry.announcements.push({ kind, count, withdrawn: false });
    this.resume();
  }

  /** Tells each channel that has taken something about this alert that it is over, after what is queued there. */
  announceResolved(detail: string): void {
    for (const channel of this.#carry.plan?.configured ?? []) this.#enqueue(channel, this.#notice('resolved', 'resolved', detail), false);
    this.resume();
  }

  /** What is not told yet is not worth telling any more; notices for others than this alert stay. */
  withdraw(): void {
    for (const announcement of this.#carry.announcements) announcement.withdrawn = true;
    for (const delivery of this.#carry.deliveries) {
      if (!isOwn(delivery.notice.kind)) continue;
      delivery.withdrawn = true;
      this.#scopes.get(delivery)?.cancel();
    }
    this.resume();
  }

  /** The workflow was cancelled: no run follows, and a plan that has not come never will. */
  abandon(): void {
    this.#suspending = false;
    if (this.#carry.plan === null) this.#carry.announcements.length = 0;
    this.withdraw();
  }

  /** Takes up whatever is queued. Safe to call at any time. */
  resume(): void {
    if (this.#suspending || this.#carry.plan === null) return;
    if (!this.#admitting && this.#carry.announcements.length > 0) void this.#admit();
    for (const channel of new Set(this.#carry.deliveries.map((delivery) => delivery.channel))) if (!this.#sending.has(channel)) void this.#send(channel);
  }

  /** Stands still as soon as the attempts in work have ended; the rest stays queued. */
  async suspend(): Promise<void> {
    this.#suspending = true;
    for (const scope of this.#scopes.values()) scope.cancel();
    await condition(() => this.#isStill);
  }

  async #admit(): Promise<void> {
    const { announcements, state } = this.#carry;
    this.#admitting = true;
    try {
      while (announcements.length > 0 && !this.#suspending) {
        const announcement = announcements[0]!;
        const id = `${announcement.kind}${announcement.kind === 'opened' ? '' : `-${announcement.count}`}`;
        const { how, group } = await this.#admission(announcement, id);
        announcements.shift();
        const level = this.#levelOf(announcement);
        if (how === 'lead') this.#fanOut('storm', `storm-${id}`, level); // others rely on it, whatever has become of this alert
        else if (announcement.withdrawn) this.#record(announcement.kind, id, 'withdrawn', '');
        else if (how === 'member') {
          this.#record(announcement.kind, id, 'grouped', group);
          if (state.status === 'open') state.status = 'notified';
        } else this.#fanOut(announcement.kind, id, level);
        this.#changed();
      }
    } finally {
      this.#admitting = false;
    }
    this.resume();
    this.#changed();
  }

  /** A reminder is what somebody has asked for by a snooze: it is never grouped. What no channel is told of is no storm. */
  async #admission(announcement: Announcement, id: string): Promise<Admission> {
    const { kind, count, withdrawn } = announcement;
    const { type } = this.#carry.state;
    if (withdrawn || kind === 'reminded' || (this.#plan.channels[this.#levelOf(announcement)].length === 0 && patched('gate-with-channel'))) return { how: 'alone', group: '' };
    try {
      return await gate.admitNotice.executeWithOptions({ summary: `storm gate · ${id}` }, [{ id: this.#idOf(id), type, kind: `${kind}-${count}` }]);
    } catch (error) {
      if (!isCancellation(error)) this.#carry.state.note = `storms are not grouped: ${messageOf(error)}`;
      return { how: 'alone', group: '' };
    }
  }

  /** Its own: by the time its turn comes the alert may have reached the next one. */
  #levelOf({ kind, count }: Announcement): AlertLevel {
    const { level } = this.#carry.state;
    return kind !== 'reminded' && count < level && patched('level-of-announcement') ? (count as AlertLevel) : level;
  }

  #fanOut(kind: NoticeKind, id: string, level: AlertLevel): void {
    const channels = this.#plan.channels[level];
    if (channels.length === 0) this.#record(kind, id, 'withdrawn', 'no channel is told of such alerts');
    for (const channel of channels) this.#enqueue(channel, this.#notice(kind, id, '', level), true);
  }

  #enqueue(channel: Channel, notice: Notice, isListed: boolean): void {
    this.#carry.deliveries.push({ channel, notice, withdrawn: false });
    if (isListed) addNotification(this.#carry.state, { id: notice.id, kind: notice.kind, channel, at: notice.at, endedAt: null, result: 'pending', attempts: 0, reason: '' });
    this.#changed();
  }

  async #send(channel: Channel): Promise<void> {
    this.#sending.add(channel);
    try {
      for (let delivery = this.#nextOf(channel); delivery && !this.#suspending; delivery = this.#nextOf(channel)) await this.#deliver(delivery);
    } finally {
      this.#sending.delete(channel);
    }
    this.#changed();
  }

  #nextOf(channel: Channel): Delivery | undefined {
    return this.#carry.deliveries.find((delivery) => delivery.channel === channel);
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { channel, notice } = delivery;
    if (notice.kind === 'resolved' && !this.#carry.told.includes(channel)) return this.#drop(delivery);
    if (delivery.withdrawn) return this.#settle(delivery, 'withdrawn', 0, '');
    const scope = new CancellationScope();
    this.#scopes.set(delivery, scope);
    try {
      const options = { scheduleToCloseTimeout: this.#plan.deliverySeconds * 1000, summary: `${notice.kind} → ${channel}` };
      const { attempts } = await scope.run(() => deliverNotice.executeWithOptions(options, [{ channel, notice }]));
      delete this.#carry.state.failing[channel];
      if (isOwn(notice.kind) && !this.#carry.told.includes(channel)) this.#carry.told.push(channel);
      this.#settle(delivery, 'delivered', attempts, '');
    } catch (error) {
      await this.#undelivered(delivery, error);
    } finally {
      this.#scopes.delete(delivery);
    }
  }

  async #undelivered(delivery: Delivery, error: unknown): Promise<void> {
    const { channel, notice } = delivery;
    const wasStopped = isCancellation(error) || (error instanceof ActivityFailure && error.retryState === 'CANCEL_REQUESTED');
    const attempts = attemptsOf(error);
    if (wasStopped && this.#suspending && !delivery.withdrawn) {
      const record = this.#recordOf(delivery);
      if (record) record.attempts += attempts;
      return; // stays queued for the run that follows
    }
    if (wasStopped || delivery.withdrawn) return this.#settle(delivery, 'withdrawn', attempts, '');
    if (attempts === 0 && isTimeout(error) && patched('untried-notice')) return; // no worker has got as far as to an answer: stays queued
    const reason = messageOf(error);
    const isFirst = this.#carry.state.failing[channel] === undefined;
    this.#carry.state.failing[channel] = reason;
    this.#settle(delivery, 'failed', attempts, reason);
    if (isFirst && notice.kind !== 'channel-failed') await this.#tellOthers(channel, `${channel} does not take them (${reason})`);
  }

  async #tellOthers(channel: Channel, detail: string): Promise<void> {
    const others = this.#plan.configured.filter((other) => other !== channel);
    if (others.length === 0) return;
    const isOurs = await gate.claimFailureNotice.executeWithOptions({ summary: `${channel} fails` }, [{ channel, by: this.#idOf('') }]).catch(() => true);
    if (!isOurs) return;
    for (const other of others) this.#enqueue(other, this.#notice('channel-failed', `channel-failed-${channel}`, detail), true);
    this.resume();
  }

  #settle(delivery: Delivery, result: NoticeResult, attempts: number, reason: string): void {
    const { state } = this.#carry;
    const record = this.#recordOf(delivery);
    if (record) Object.assign(record, { result, reason, attempts: record.attempts + attempts, endedAt: new Date().toISOString() });
    else if (delivery.notice.kind === 'resolved') this.#record('resolved', 'resolved', result, reason, delivery.channel, attempts);
    if (result === 'delivered' && state.status === 'open' && delivery.notice.kind !== 'channel-failed') state.status = 'notified';
    this.#drop(delivery);
  }

  #drop(delivery: Delivery): void {
    const { deliveries } = this.#carry;
    deliveries.splice(deliveries.indexOf(delivery), 1);
    this.#changed();
  }

  #recordOf({ channel, notice }: Delivery) {
    return this.#carry.state.notifications.find((record) => record.id === notice.id && record.channel === channel);
  }

  #record(kind: NoticeKind, id: string, result: NoticeResult, reason: string, channel: Channel | null = null, attempts = 0): void {
    const at = new Date().toISOString();
    addNotification(this.#carry.state, { id: this.#idOf(id), kind, channel, at, endedAt: at, result, attempts, reason });
  }

  #notice(kind: NoticeKind, id: string, detail: string, level = this.#carry.state.level): Notice {
    const { type, entity, episode, severity, status, value, threshold, window, occurrences, openedAt } = this.#carry.state;
    const alert: AlertFacts = { type, entity, episode, severity, status, level, value, threshold, window, occurrences, openedAt };
    const at = new Date().toISOString();
    return { id: this.#idOf(id), kind, at, text: noticeText(kind, alert, at, detail), alert };
  }

  #idOf(id: string): string {
    return id === '' ? workflowInfo().workflowId : `${workflowInfo().workflowId}/${id}`;
  }

  get #plan() {
    return this.#carry.plan!;
  }
}

/** About this alert alone. */
const isOwn = (kind: NoticeKind): boolean => kind === 'opened' || kind === 'escalated' || kind === 'reminded';

const isTimeout = (error: unknown): boolean => error instanceof ActivityFailure && error.cause instanceof TimeoutFailure;

/** The activity says in its failure how often it has tried. */
function attemptsOf(error: unknown): number {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const [detail] = at instanceof ApplicationFailure ? (at.details ?? []) : [];
    if (typeof detail === 'object' && detail !== null && 'attempts' in detail && typeof detail.attempts === 'number') return detail.attempts;
  }
  return 0;
}
