/** Our own processes. They are told every setting, read the secrets from the data folder, and end with their channel. */
import { inheritedEnvironment, settingsEnvironment, type Settings } from '../config.ts';
import { inProject, projectRoot } from './project.ts';
import type { ServerSpec } from './server-spec.ts';
import type { ConsumerName } from './state-file.ts';

/** A batch in work is some 10 MB of short-lived objects: with V8's default of 16 they would be copied to the old generation. */
export const consumerFlags = ['--max-semi-space-size=32'];

/** A consumer is also told under which name it is a member of its group. */
export function appProcess(name: ConsumerName | 'stream-consumer' | 'alerts-consumer' | 'worker' | 'generator', settings: Settings): ServerSpec {
  const isMember = name !== 'worker' && name !== 'generator';
  const isOfTables = isMember && name !== 'alerts-consumer';
  const program = name.startsWith('cdc-consumer') ? 'cdc-consumer' : name;
  return {
    name,
    ports: [],
    stopSignal: 'SIGTERM',
    ready: 'message',
    command: async () => ({
      file: process.execPath,
      args: ['--enable-source-maps', ...(isOfTables ? consumerFlags : []), inProject('dist/main', `${program}.js`)],
      cwd: projectRoot,
      env: { ...inheritedEnvironment(), ...settingsEnvironment(settings), ...(isMember && { KAFKA_INSTANCE_ID: name }) },
    }),
  };
}
