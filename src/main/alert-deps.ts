/** How alerts are told, from the settings: which channels there are, who is routed where. */
import { readFileSync } from 'node:fs';
import type { AlertDeps } from '../activities/alerts.ts';
import { createSlack, createWebhook, type SendNotice } from '../adapters/webhook.ts';
import { ConfigError, requireSecret, type Settings } from '../config.ts';
import { channels, type Channel } from '../domain/alert-notice.ts';
import { parseRoutes, routesToAll, type AlertRoutes } from '../domain/alert-routes.ts';

export function alertDeps(settings: Settings): Omit<AlertDeps, 'redis' | 'keys'> {
  const { ALERT_ESCALATE_L2_SECONDS: l2, ALERT_ESCALATE_L3_SECONDS: l3, ALERT_TIMEOUT_MS: timeoutMs, ALERT_WEBHOOK_URL: webhook, ALERT_SLACK_URL: slack } = settings;
  const senders: Partial<Record<Channel, SendNotice>> = {
    ...(webhook && { webhook: createWebhook({ url: webhook, secret: requireSecret(settings, 'ALERT_WEBHOOK_SECRET'), timeoutMs }) }),
    ...(slack && { slack: createSlack({ url: slack, timeoutMs }) }),
  };
  return {
    senders,
    routes: readRoutes(settings.ALERT_ROUTES_FILE, channels.filter((channel) => senders[channel])),
    escalateSeconds: [
      { level: 2, afterSeconds: l2 },
      { level: 3, afterSeconds: l3 },
    ],
    quietSeconds: settings.ALERT_QUIET_SECONDS,
    deliverySeconds: settings.ALERT_DELIVERY_SECONDS,
    stormMost: settings.ALERT_STORM_MOST,
  };
}

function readRoutes(path: string | undefined, configured: Channel[]): AlertRoutes {
  if (path === undefined) return routesToAll;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`ALERT_ROUTES_FILE names ${path}, which cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = parseRoutes(text, configured);
  if ('problems' in parsed) throw new ConfigError(`ALERT_ROUTES_FILE ${path}:\n  ${parsed.problems.join('\n  ')}`);
  return parsed.routes;
}
