/** What the outside may know of the alert workflow: names, ids, inputs, answers. Ids and figures only, no personal data. */
import type { AlertLevel, AlertRef, AlertType, OriginMemory, Severity } from '../domain/alert.ts';
import type { AlertMessage } from '../domain/alert-message.ts';
import type { AlertFacts, Channel, Notice, NoticeKind } from '../domain/alert-notice.ts';

export const alertWorkflowType = 'alertLifecycle';
export const alertSweepScheduleId = 'alert-sweep';
/** Another time that it was seen. Counted once per origin. */
export const occurrenceSignal = 'occurrence';
/** What it was about is over; safe to repeat. */
export const overSignal = 'over';
export const alertStateQuery = 'alertState';
/** (by, note) */
export const acknowledgeUpdate = 'acknowledge';
/** (until, by?): until is ISO-8601. */
export const snoozeUpdate = 'snooze';
/** (by, reason) */
export const resolveUpdate = 'resolve';

/** On each alert's page in Temporal Web. */
export const alertDetails = [
  'An alert from its first occurrence to its end. Its current details and the query `alertState` say how it stands.',
  '- acknowledge, snooze or resolve it: `npx sluice alerts ack|snooze|resolve <type>/<entity>/<episode>`, or the updates of these names here',
  '- what a program may read: `alerts:<type>:<entity>/<episode>` in Redis',
].join('\n');

/** `open`: nobody has been told yet. */
export type AlertStatus = 'open' | 'notified' | 'acknowledged' | 'snoozed' | 'resolved';

/** `grouped`: another alert of its storm tells for it. `withdrawn`: no longer worth telling when its turn came. */
export type NoticeResult = 'pending' | 'delivered' | 'failed' | 'withdrawn' | 'grouped';

export interface NotificationRecord {
  id: string;
  kind: NoticeKind;
  /** Null for one that was grouped, or for which no channel is configured. */
  channel: Channel | null;
  at: string;
  endedAt: string | null;
  result: NoticeResult;
  /** Of those that have ended. */
  attempts: number;
  /** Why it failed, or the notice that tells for it. */
  reason: string;
}

/** Answer of the query `alertState`, of every update, and the workflow's result. Times are ISO-8601. */
export interface AlertState extends AlertFacts {
  alertId: string;
  status: AlertStatus;
  level: AlertLevel;
  /** Event times of the first and the latest occurrence. */
  firstAt: string;
  lastAt: string;
  acknowledged: { by: string; note: string; at: string } | null;
  snoozed: { until: string; by: string; at: string } | null;
  resolved: { by: string; reason: string; at: string } | null;
  /** The newest ones; how many older ones are not shown. */
  notifications: NotificationRecord[];
  notificationsDropped: number;
  /** Channels whose last delivery failed, and why. */
  failing: Partial<Record<Channel, string>>;
  /** What a person should know besides. */
  note: string;
}

/** The settings that hold for one alert, as they were when it opened. */
export interface AlertPlan {
  configured: Channel[];
  channels: Record<AlertLevel, Channel[]>;
  escalations: { level: AlertLevel; afterSeconds: number }[];
  /** Null: only its source or a person ends it. */
  quietSeconds: number | null;
  /** How long a channel that does not take a notice is tried. */
  deliverySeconds: number;
}

/** Something to say that has not passed the storm gate. */
export interface Announcement {
  kind: 'opened' | 'escalated' | 'reminded';
  /** Told apart from others of its kind: the level, or how many reminders. */
  count: number;
  withdrawn: boolean;
}

export interface Delivery {
  channel: Channel;
  notice: Notice;
  /** No longer worth saying: it is given up as soon as its attempt is over. */
  withdrawn: boolean;
}

/** Everything an alert is; carried over when the workflow continues as new. */
export interface AlertCarry {
  state: AlertState;
  plan: AlertPlan | null;
  memory: OriginMemory;
  /** When the latest occurrence came, and from when escalation counts; milliseconds since 1970. */
  lastSeenMs: number;
  escalateFromMs: number;
  reminders: number;
  announcements: Announcement[];
  deliveries: Delivery[];
  /** Channels that have taken a notice about this alert: they are told when it is over. */
  told: Channel[];
}

export interface AlertInput {
  first: AlertMessage;
  carry?: AlertCarry;
}

/** `lead`: tells for all that follow in its storm; `group` is the leading notice. */
export interface Admission {
  how: 'alone' | 'lead' | 'member';
  group: string;
}

export interface AlertActivities {
  planAlert(alert: { type: AlertType; severity: Severity }): Promise<AlertPlan>;
  /** Whether a notice is told alone or with others of its type and kind. Repeated for one id, the answer is the same. */
  admitNotice(notice: { id: string; type: AlertType; kind: string }): Promise<Admission>;
  /** At least once; the receiver tells doubles by the notice's id. */
  deliverNotice(delivery: { channel: Channel; notice: Notice }): Promise<{ attempts: number }>;
  /** Whether it is for this alert to tell the other channels that one has failed: one alert at a time does. */
  claimFailureNotice(failure: { channel: Channel; by: string }): Promise<boolean>;
  /** Writes `alerts:<type>:<alertId>` and `alerts:open`. Safe to repeat. */
  projectAlert(alert: AlertProjection): Promise<void>;
}

export interface AlertSweepActivities {
  /** Shows alerts as resolved that Redis calls open and Temporal does not run; says how many. Safe to repeat. */
  closeLostAlerts(): Promise<{ closed: number }>;
}

/** What Redis shows of an alert. */
export interface AlertProjection extends AlertRef {
  severity: Severity;
  value: string;
  threshold: string;
  window: string;
  status: AlertStatus;
  occurrences: number;
  openedAt: string;
}
