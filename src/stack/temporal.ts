/** Temporal's development server with its web interface; workflows, timers and schedules are kept in one SQLite file. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { loopback } from '../access.ts';
import type { AttributeType } from '../adapters/temporal.ts';
import { inheritedEnvironment, type Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { findFreePort, portsOf } from './ports.ts';
import { layoutOf } from './project.ts';
import { serverEnvironment, type ServerSpec } from './server-spec.ts';
import type { Tools } from './tools.ts';

/** What workflows can be looked up by. */
export const searchAttributes = {
  ...{ AlertType: 'Keyword', AlertSeverity: 'Keyword', AlertStatus: 'Keyword', AlertEntity: 'Keyword' },
  ...{ PipelineStage: 'Keyword', WindowStart: 'Datetime', RowsLoaded: 'Int', QualityVerdict: 'Keyword' },
} as const satisfies Record<string, AttributeType>;

export function temporalServer(settings: Settings, tools: Tools): ServerSpec {
  const { temporal: dir } = layoutOf(settings.SLUICE_DATA_DIR);
  const namespace = settings.TEMPORAL_NAMESPACE;
  let httpPort = 0;
  return {
    name: 'temporal',
    ports: [settings.TEMPORAL_PORT, settings.TEMPORAL_UI_PORT],
    stopSignal: 'SIGTERM',
    firstStartsMost: 3, // its services listen on ports that it picks beforehand, and another process may be quicker
    command: async () => {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      httpPort = await findFreePort(portsOf(settings));
      const options = {
        ip: loopback,
        port: settings.TEMPORAL_PORT,
        'ui-ip': loopback,
        'ui-port': settings.TEMPORAL_UI_PORT,
        'http-port': httpPort,
        'metrics-port': await findFreePort([...portsOf(settings), httpPort]),
        'db-filename': join(dir, 'temporal.sqlite'),
        namespace,
        'log-level': 'warn',
      };
      return {
        file: tools.temporal,
        args: [
          'server',
          'start-dev',
          '--ui-disable-news-fetch',
          ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]),
          ...Object.entries(searchAttributes).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]),
        ],
        env: serverEnvironment(inheritedEnvironment()),
      };
    },
    ready: async () => {
      const response = await fetch(`http://${loopback}:${httpPort}/api/v1/namespaces/${encodeURIComponent(namespace)}`);
      if (!response.ok) throw new PipelineError('temporal_unavailable', `Temporal has no namespace ${namespace} yet (HTTP ${response.status})`);
    },
  };
}
