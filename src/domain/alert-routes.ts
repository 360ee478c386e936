/**
 * Who is told of which alert: the file ALERT_ROUTES_FILE. The first route that matches decides; where none does, `default`.
 * Invariant: a file that names a type, severity, level or channel that is not there is refused as a whole, with every fault's path.
 */
import { z } from 'zod';
import { alertTypes, levels, severities, type AlertLevel, type AlertType, type Severity } from './alert.ts';
import { channels, type Channel } from './alert-notice.ts';

const routesSchema = z.strictObject({
  routes: z
    .array(
      z.strictObject({
        types: z.array(z.enum(alertTypes)).min(1).optional(),
        severities: z.array(z.enum(severities)).min(1).optional(),
        levels: z.array(z.literal(levels)).min(1).optional(),
        /** None: such alerts are shown and told to nobody. */
        channels: z.array(z.enum(channels)),
      }),
    )
    .max(200)
    .default([]),
  default: z.array(z.enum(channels)).optional(),
});

export type AlertRoutes = z.infer<typeof routesSchema>;

/** Without a file: every channel that is configured. */
export const routesToAll: AlertRoutes = { routes: [] };

/** `text` is the file's. Problems are one line each: path, what was given, what may be. */
export function parseRoutes(text: string, configured: readonly Channel[]): { routes: AlertRoutes } | { problems: string[] } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { problems: [`not JSON: ${error instanceof Error ? error.message : String(error)}`] };
  }
  const parsed = routesSchema.safeParse(json);
  if (!parsed.success) return { problems: parsed.error.issues.map(({ path, message }) => `${pathText(path)}: ${given(json, path)}${message}`) };
  const problems = [
    ...parsed.data.routes.flatMap((route, at) => unconfigured(`routes[${at}].channels`, route.channels, configured)),
    ...unconfigured('default', parsed.data.default ?? [], configured),
  ];
  return problems.length > 0 ? { problems } : { routes: parsed.data };
}

export function channelsFor({ routes, default: others }: AlertRoutes, configured: readonly Channel[], alert: { type: AlertType; severity: Severity; level: AlertLevel }): Channel[] {
  const route = routes.find((one) => (one.types?.includes(alert.type) ?? true) && (one.severities?.includes(alert.severity) ?? true) && (one.levels?.includes(alert.level) ?? true));
  return [...new Set(route?.channels ?? others ?? configured)];
}

const unconfigured = (path: string, named: readonly Channel[], configured: readonly Channel[]): string[] =>
  named.flatMap((channel, at) => (configured.includes(channel) ? [] : [`${path}[${at}]: ${channel} is not configured: set ALERT_${channel.toUpperCase()}_URL`]));

const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text}${text ? '.' : ''}${String(part)}`), '') || 'the file';

/** What stands there, when it is a word or a number. */
function given(json: unknown, path: readonly PropertyKey[]): string {
  const value = path.reduce<unknown>((at, part) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[part] : undefined), json);
  return typeof value === 'string' || typeof value === 'number' ? `${JSON.stringify(value)}: ` : '';
}
