/** Activities of alerts that record what they were asked, for tests of the workflow. */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { AlertMessage } from '../src/domain/alert-message.ts';
import type { Channel, Notice } from '../src/domain/alert-notice.ts';
import type { Admission, AlertActivities, AlertPlan, AlertProjection } from '../src/workflows/alert-contract.ts';

/** A message of one alert; `n` is the place of its origin in the topic's partition 0. */
export function anAlert(given: Partial<AlertMessage> = {}, n = 1): AlertMessage {
  const message = { type: 'bulk_orders', severity: 'MEDIUM', entity: '42', episode: 1_764_000_000_000, value: String(10 + n), threshold: '10', window: '60 s', ...given } as const;
  return { alertId: `${message.entity}/${message.episode}`, at: message.episode + n * 1000, origin: `ecommerce.public.orders-0:${n}`, ...message };
}

type Attempt = (delivery: { channel: Channel; notice: Notice }) => Promise<void>;

const plan: AlertPlan = {
  configured: ['webhook', 'slack'],
  channels: { 1: ['webhook', 'slack'], 2: ['webhook', 'slack'], 3: ['webhook', 'slack'] },
  escalations: [],
  quietSeconds: null,
  deliverySeconds: 240,
};
const escalations: AlertPlan['escalations'] = [
  { level: 2, afterSeconds: 300 },
  { level: 3, afterSeconds: 900 },
];

export function createAlertFakes() {
  /** `<kind> <channel>` of every attempt, and of every one that was taken. */
  const attempts: string[] = [];
  const taken: string[] = [];
  const notices: Notice[] = [];
  const shown: AlertProjection[] = [];
  const script = {
    plan: {} as Partial<AlertPlan>,
    beforePlan: async (): Promise<void> => undefined,
    /** What the next attempts of `<kind> <channel>`, or of `<channel>`, do first. */
    before: {} as Record<string, Attempt[]>,
    /** A channel that is dead. */
    dead: {} as Partial<Record<Channel, Attempt>>,
    admit: async (_notice: { id: string; type: string; kind: string }): Promise<Admission> => ({ how: 'alone', group: '' }),
    project: async (_alert: AlertProjection): Promise<void> => undefined,
    claims: true,
  };
  const activities: AlertActivities = {
    planAlert: async ({ severity }) => {
      await script.beforePlan();
      return { ...plan, escalations: severity === 'HIGH' ? escalations : [], ...script.plan };
    },
    admitNotice: (notice) => script.admit(notice),
    claimFailureNotice: async () => script.claims,
    projectAlert: async (alert) => {
      await script.project(alert);
      shown.push(alert);
    },
    deliverNotice: async ({ channel, notice }) => {
      const name = `${notice.kind} ${channel}`;
      const count = Context.current().info.attempt;
      attempts.push(name);
      try {
        await (script.before[name]?.shift() ?? script.before[channel]?.shift())?.({ channel, notice });
        await script.dead[channel]?.({ channel, notice });
      } catch (error) {
        const { message, type, nonRetryable } = error instanceof ApplicationFailure ? error : { message: String(error), type: 'channel_unavailable', nonRetryable: false };
        throw ApplicationFailure.create({ message, type: type ?? 'channel_unavailable', nonRetryable: nonRetryable === true, details: [{ attempts: count }] });
      }
      taken.push(name);
      notices.push(notice);
      return { attempts: count };
    },
  };
  return {
    ...{ activities, attempts, taken, notices, shown, script },
    reset: () => {
      for (const list of [attempts, taken, notices, shown]) list.length = 0;
      const fresh: typeof script = { plan: {}, beforePlan: async () => undefined, before: {}, dead: {}, admit: async () => ({ how: 'alone', group: '' }), project: async () => undefined, claims: true };
      Object.assign(script, fresh);
    },
  };
}

/** Attempts that fail so often before one is taken. */
export const failing = (times: number, message = 'HTTP 500'): Attempt[] => Array.from({ length: times }, () => () => Promise.reject(ApplicationFailure.create({ message, type: 'channel_unavailable' })));
