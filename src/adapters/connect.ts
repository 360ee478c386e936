/** The REST interface of Kafka Connect. Registering is idempotent; errors leave as PipelineError. */
import { z } from 'zod';
import { PipelineError } from '../domain/errors.ts';

const statusSchema = z.object({
  connector: z.object({ state: z.string(), trace: z.string().optional() }),
  tasks: z.array(z.object({ id: z.number(), state: z.string(), trace: z.string().optional() })),
});

const workerSchema = z.object({ version: z.string(), kafka_cluster_id: z.string() });
const pluginsSchema = z.array(z.object({ class: z.string(), version: z.string().nullish() }));
const validationSchema = z.object({ configs: z.array(z.object({ value: z.object({ name: z.string(), errors: z.array(z.string()) }) })) });

/** Debezium's LSNs: numbers, exact below 2^53. */
const lsn = z.number().nullish();
const offsetsSchema = z.object({ offsets: z.array(z.object({ offset: z.object({ lsn, lsn_proc: lsn, lsn_commit: lsn }).nullable() })) });

export type SourceOffset = NonNullable<z.infer<typeof offsetsSchema>['offsets'][number]['offset']>;
export type ConnectorStatus = z.infer<typeof statusSchema>;
export type ConnectClient = ReturnType<typeof createConnectClient>;

const requestBudgetMs = 30_000;

export function createConnectClient(baseUrl: string) {
  async function request(method: string, path: string, body?: unknown): Promise<{ status: number; json: unknown }> {
    try {
      const response = await fetch(`${baseUrl}${path}`, {
        method,
        headers: { 'content-type': 'application/json' },
        signal: AbortSignal.timeout(requestBudgetMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, json: text === '' ? null : JSON.parse(text) };
    } catch (error) {
      throw new PipelineError('connect_unavailable', `Kafka Connect does not answer at ${baseUrl}`, { cause: error });
    }
  }

  /** The answer's body, or null for 404. 409 (rebalancing) and 5xx are worth another try; other refusals are not. */
  async function ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const { status, json } = await request(method, path, body);
    if (status === 404) return null;
    if (status < 300) return json;
    const reason = z.object({ message: z.string() }).safeParse(json).data?.message ?? `HTTP ${status}`;
    const code = status === 409 || status >= 500 ? 'connect_unavailable' : 'connect_refused';
    throw new PipelineError(code, `Kafka Connect ${method} ${path}: ${reason}`, { details: { status } });
  }

  return {
    /** Resolves when the worker has joined its group and reads its configuration; rejects before. */
    ready: () => ask('GET', '/health').then(() => ask('GET', '/connectors')),
    /** Whether its main thread works; takes ten seconds to say no. Rejects while it does not answer at all. */
    isHealthy: async (): Promise<boolean> => (await request('GET', '/health')).status < 300,
    /** Creates or changes the connector; does nothing when it already has this configuration. */
    applyConnector: async (name: string, config: Record<string, string>): Promise<'unchanged' | 'applied'> => {
      const current = z.record(z.string(), z.string()).nullable().parse(await ask('GET', `/connectors/${name}/config`));
      const wanted = { name, ...config };
      if (current && sameEntries(current, wanted)) return 'unchanged';
      await ask('PUT', `/connectors/${name}/config`, wanted);
      return 'applied';
    },
    /** Makes a connector that is not there; it does not run before it is resumed. */
    createStopped: (name: string, config: Record<string, string>) => ask('POST', '/connectors', { name, config: { name, ...config }, initial_state: 'STOPPED' }),
    /** Told by its configuration: right after a start of Connect the status of a connector that is there is unknown. */
    isRegistered: async (name: string): Promise<boolean> => (await ask('GET', `/connectors/${name}/config`)) !== null,
    /** The worker's version and the Kafka cluster it belongs to. */
    worker: async () => workerSchema.parse(await ask('GET', '/')),
    /** Version of a connector plugin; null when it is not installed. */
    pluginVersion: async (pluginClass: string): Promise<string | null> => pluginsSchema.parse(await ask('GET', '/connector-plugins')).find((one) => one.class === pluginClass)?.version ?? null,
    /** What the plugin, which connects to the source for it, finds wrong in a configuration, by setting. */
    validate: async (name: string, config: Record<string, string>): Promise<Record<string, string[]>> => {
      const { configs } = validationSchema.parse(await ask('PUT', `/connector-plugins/${config['connector.class']}/config/validate`, { name, ...config }));
      return Object.fromEntries(configs.filter(({ value }) => value.errors.length > 0).map(({ value }) => [value.name, value.errors]));
    },
    /** Null when no such connector is registered. Right after a start UNASSIGNED is normal. */
    connectorStatus: async (name: string): Promise<ConnectorStatus | null> =>
      statusSchema.nullable().parse(await ask('GET', `/connectors/${name}/status`)),
    /** Restarts connector and tasks, or those of them that have failed. */
    restart: (name: string, onlyFailed: boolean) => ask('POST', `/connectors/${name}/restart?includeTasks=true&onlyFailed=${onlyFailed}`),
    /** Ends the tasks and keeps the connector; it is STOPPED a moment later. Safe to repeat. */
    stop: (name: string) => ask('PUT', `/connectors/${name}/stop`),
    resume: (name: string) => ask('PUT', `/connectors/${name}/resume`),
    /** What the connector remembers of its place in the source; empty before its first record. */
    sourceOffsets: async (name: string): Promise<SourceOffset[]> =>
      offsetsSchema.parse((await ask('GET', `/connectors/${name}/offsets`)) ?? { offsets: [] }).offsets.flatMap(({ offset }) => (offset === null ? [] : [offset])),
    /** Forgets them. Only a stopped connector's may be. */
    deleteSourceOffsets: (name: string) => ask('DELETE', `/connectors/${name}/offsets`),
  };
}

function sameEntries(a: Record<string, string>, b: Record<string, string>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
