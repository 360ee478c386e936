/** What Kafka Connect and the connector must be like. */
import { ok, problem, warning, type Check } from './check.ts';

export interface ConnectFacts {
  version: string;
  /** Cluster that Connect writes to, and the one that we read; null when Kafka does not answer us. */
  cluster: { its: string; ours: string | null };
  /** Version of the PostgreSQL plugin; null when it is not installed. */
  plugin: string | null;
  /** What Connect finds wrong in our configuration, by setting. */
  errors: Record<string, string[]>;
  /** Null when the connector is not registered. */
  connector: { state: string; tasks: string[] } | null;
}

export const pluginClass = 'io.debezium.connector.postgresql.PostgresConnector';
/** The version in stack/pom.xml, with which everything was tried. */
export const pluginTried = '3.7.0.Final';
const exactlyOnce = 'exactly.once.support';
/** Without the plugin Connect cannot be asked about our configuration. */
const unasked = 'not known without the plugin';

export const connectChecks: readonly Check<ConnectFacts>[] = [
  { name: 'version', judge: ({ version }) => ok(version) },
  {
    name: 'cluster',
    judge: ({ cluster: { its, ours } }) =>
      ours === null || its === ours ? ok(its) : problem(`it writes to Kafka cluster ${its}, we read ${ours}`, 'Set KAFKA_BROKER to the bootstrap.servers of Connect, or CONNECT_URL to another Connect.'),
  },
  {
    name: 'plugin',
    judge: ({ plugin }) => {
      const install = `Put debezium-connector-postgres ${pluginTried} below plugin.path of every worker and restart it.`;
      if (plugin === null) return problem('the Debezium PostgreSQL plugin is not installed', install);
      return plugin === pluginTried ? ok(plugin) : warning(`${plugin}; tried was ${pluginTried}`, install);
    },
  },
  {
    name: 'exactly-once',
    judge: ({ errors, plugin }) =>
      errors[exactlyOnce]
        ? problem(errors[exactlyOnce].join(' '), 'Set exactly.once.source.support=enabled on every worker: with "preparing" first in one rolling restart, with "enabled" in a second.')
        : ok(plugin === null ? unasked : 'supported'),
  },
  {
    name: 'configuration',
    madeByStart: true,
    judge: ({ errors, plugin }) => {
      const wrong = Object.entries(errors).filter(([name]) => name !== exactlyOnce);
      if (wrong.length === 0) return ok(plugin === null ? unasked : 'accepted');
      return problem(wrong.map(([name, texts]) => `${name}: ${texts.join(' ')}`).join('; '), 'Connect must reach PostgreSQL as sluice_replication, with SLUICE_REPLICATION_PASSWORD in its own environment and config.providers=env (docs/production.md).');
    },
  },
  {
    name: 'connector',
    madeByStart: true,
    judge: ({ connector }) => {
      if (connector === null) return problem('it is not registered', 'npx sluice connector apply');
      const states = [connector.state, ...connector.tasks];
      const says = `${connector.state}, tasks ${connector.tasks.join(', ') || 'none'}`;
      if (states.includes('FAILED')) return problem(says, 'npx sluice connector status shows why; npx sluice connector restart');
      if (connector.state === 'PAUSED' || connector.state === 'STOPPED') return problem(says, 'npx sluice connector restart');
      return states.length > 1 && states.every((state) => state === 'RUNNING') ? ok(says) : warning(says, 'Right after a start this passes by itself; otherwise: npx sluice connector restart');
    },
  },
];
