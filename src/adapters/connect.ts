/** The REST interface of Kafka Connect. Registering is idempotent; errors leave as PipelineError. */
import { z } from 'zod';
import { PipelineError } from '../domain/errors.ts';

const statusSchema = z.object({
  connector: z.object({ state: z.string() }),
  tasks: z.array(z.object({ id: z.number(), state: z.string(), trace: z.string().optional() })),
});

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
    /** Creates or changes the connector; does nothing when it already has this configuration. */
    applyConnector: async (name: string, config: Record<string, string>): Promise<'unchanged' | 'applied'> => {
      const current = z.record(z.string(), z.string()).nullable().parse(await ask('GET', `/connectors/${name}/config`));
      const wanted = { name, ...config };
      if (current && sameEntries(current, wanted)) return 'unchanged';
      await ask('PUT', `/connectors/${name}/config`, wanted);
      return 'applied';
    },
    /** Null when no such connector is registered. Right after a start UNASSIGNED is normal. */
    connectorStatus: async (name: string): Promise<ConnectorStatus | null> =>
      statusSchema.nullable().parse(await ask('GET', `/connectors/${name}/status`)),
    restartFailed: (name: string) => ask('POST', `/connectors/${name}/restart?includeTasks=true&onlyFailed=true`),
  };
}

function sameEntries(a: Record<string, string>, b: Record<string, string>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
