/**
 * What alert workflows have done: notices delivered, storms recognised, Redis told.
 * Invariant: nothing that crosses Temporal holds an address or a secret; every activity may be repeated.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { RedisStore } from '../adapters/redis.ts';
import type { SendNotice } from '../adapters/webhook.ts';
import { alertIdOf, alertWorkflowId, closedBySource, levels, type AlertLevel } from '../domain/alert.ts';
import { channels, type Channel } from '../domain/alert-notice.ts';
import { channelsFor, type AlertRoutes } from '../domain/alert-routes.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Keys } from '../domain/keys.ts';
import type { Admission, AlertActivities, AlertPlan, AlertProjection } from '../workflows/alert-contract.ts';

export interface AlertDeps {
  redis: RedisStore;
  keys: Keys;
  /** Those that are configured. */
  senders: Partial<Record<Channel, SendNotice>>;
  routes: AlertRoutes;
  escalateSeconds: { level: AlertLevel; afterSeconds: number }[];
  quietSeconds: number;
  deliverySeconds: number;
  /** More notices of one type and kind within a minute are a storm. */
  stormMost: number;
}

const stormWindowMs = 60_000;
/** A storm that goes on is told again after this. */
const stormLeadMs = 15 * 60_000;
/** Longer than a workflow tries to get a decision. */
const admissionKeptMs = 3_600_000;
/** A channel that goes on failing is told again after this. */
const failureToldMs = 10 * 60_000;
/** How long Redis shows an alert that is over. */
export const closedKeptMs = 24 * 3_600_000;
const retryAfterSecondsMost = 300;

export function createAlertActivities(deps: AlertDeps): AlertActivities {
  const { redis, keys } = deps;
  return {
    planAlert: async (alert) => planAlert(deps, alert),
    admitNotice: (notice) => admitNotice(deps, notice),
    deliverNotice: async ({ channel, notice }) => {
      const send = deps.senders[channel];
      const attempts = Context.current().info.attempt;
      try {
        if (!send) throw new PipelineError('channel_refused', `${channel} is not configured any more`);
        await send(notice);
        return { attempts };
      } catch (error) {
        if (!(error instanceof PipelineError)) throw error;
        throw deliveryFailure(error, attempts);
      }
    },
    claimFailureNotice: async ({ channel, by }) => (await redis.claimFor(keys.alertChannelFailure(channel), by, failureToldMs)) === by,
    projectAlert: async (alert) => {
      await redis.alertScript('project', [keys.alert(alert.type, alertIdOf(alert)), keys.alertsOpen], projection(alert));
    },
  };
}

function planAlert({ senders, routes, escalateSeconds, quietSeconds, deliverySeconds }: AlertDeps, { type, severity }: Parameters<AlertActivities['planAlert']>[0]): AlertPlan {
  const configured = channels.filter((channel) => senders[channel]);
  return {
    configured,
    channels: Object.fromEntries(levels.map((level) => [level, channelsFor(routes, configured, { type, severity, level })])) as AlertPlan['channels'],
    escalations: severity === 'HIGH' ? escalateSeconds : [],
    quietSeconds: closedBySource.has(type) ? null : quietSeconds,
    deliverySeconds,
  };
}

/** One script decides, so of any number of alerts at once exactly one leads. */
async function admitNotice({ redis, keys, stormMost }: AlertDeps, { id, type, kind }: Parameters<AlertActivities['admitNotice']>[0]): Promise<Admission> {
  const answer = String(
    await redis.alertScript(
      'admit',
      [keys.alertStorm(type, kind), keys.alertStormLead(type, kind), keys.alertAdmission(id)],
      [id, Date.now(), stormWindowMs, stormMost, stormLeadMs, admissionKeptMs],
    ),
  );
  const [, how, group = ''] = /^(alone|lead|member)(?: (.*))?$/u.exec(answer) ?? [];
  return { how: how as Admission['how'], group };
}

function deliveryFailure({ message, code, action, details }: PipelineError, attempts: number): ApplicationFailure {
  const seconds = details['retryAfterSeconds'];
  const nextRetryDelay = typeof seconds === 'number' ? Math.min(seconds, retryAfterSecondsMost) * 1000 : undefined;
  return ApplicationFailure.create({ message, type: code, nonRetryable: action !== 'retry', details: [{ attempts }], ...(nextRetryDelay !== undefined && nextRetryDelay > 0 && { nextRetryDelay }) });
}

function projection(alert: AlertProjection): (string | number)[] {
  const { type, entity, episode, severity, value, threshold, window, status, occurrences, openedAt } = alert;
  const member = `${type}:${alertIdOf({ entity, episode })}`;
  const fields = { type, severity, entity, value, threshold, window, status, workflow_id: alertWorkflowId(alert), occurrences, opened_at: openedAt };
  return [member, Date.parse(openedAt), status === 'resolved' ? closedKeptMs : 0, ...Object.entries(fields).flat()];
}
