/** What Temporal must be like: the namespace, how long it keeps what is over, and the attributes that workflows are found by. */
import { ok, problem, warning, type Check } from './check.ts';

export interface TemporalFacts {
  version: string;
  address: string;
  namespace: string;
  /** Null when there is no such namespace. */
  retentionMs: number | null;
  /** Name → type; null when the server does not tell them. */
  searchAttributes: Record<string, string> | null;
  wantedAttributes: Record<string, string>;
  /** ALERT_MAX_AGE_MS. */
  alertAgeMsMax: number;
}

const hourMs = 3_600_000;
const hours = (ms: number): string => `${Math.round((10 * ms) / hourMs) / 10} h`;

export const temporalChecks: readonly Check<TemporalFacts>[] = [
  { name: 'version', judge: ({ version }) => ok(version || 'unknown') },
  {
    name: 'namespace',
    judge: ({ namespace, retentionMs, address }) =>
      retentionMs === null ? problem(`there is no namespace ${namespace}`, `temporal operator namespace create --address ${address} --namespace ${namespace} --retention 72h, or set TEMPORAL_NAMESPACE`) : ok(namespace),
  },
  {
    name: 'retention',
    judge: ({ retentionMs, alertAgeMsMax, namespace, address }) => {
      if (retentionMs === null) return warning('not known', 'First make the namespace.');
      if (retentionMs > alertAgeMsMax) return ok(hours(retentionMs));
      const needed = Math.ceil(alertAgeMsMax / hourMs) + 24;
      return problem(`${hours(retentionMs)}, not more than ALERT_MAX_AGE_MS (${hours(alertAgeMsMax)}): an alert that is over could open again`, `temporal operator namespace update --address ${address} --namespace ${namespace} --retention ${needed}h, or lower ALERT_MAX_AGE_MS`);
    },
  },
  {
    name: 'search attributes',
    madeByStart: true,
    judge: ({ searchAttributes, wantedAttributes, namespace, address }) => {
      const flags = (names: [string, string][]): string => names.map(([name, type]) => `--name ${name} --type ${type}`).join(' ');
      const create = (names: [string, string][]): string => `temporal operator search-attribute create --address ${address} --namespace ${namespace} ${flags(names)}`;
      const wanted = Object.entries(wantedAttributes);
      if (searchAttributes === null) return warning('the server does not tell them', `Temporal Cloud: see that the namespace has ${wanted.map(([name, type]) => `${name} (${type})`).join(', ')}.`);
      const missing = wanted.filter(([name]) => searchAttributes[name] === undefined);
      if (missing.length > 0) return problem(`missing: ${missing.map(([name]) => name).join(', ')}`, create(missing));
      const other = wanted.filter(([name, type]) => searchAttributes[name] !== type);
      if (other.length === 0) return ok(`${wanted.length} there`);
      return problem(`of another type: ${other.map(([name, type]) => `${name} is ${searchAttributes[name]}, not ${type}`).join(', ')}`, `temporal operator search-attribute remove ${other.map(([name]) => `--name ${name}`).join(' ')} --namespace ${namespace}, then ${create(other)}`);
    },
  },
];
