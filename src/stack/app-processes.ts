/** Our own three processes. They are told every setting, read the secrets from the data folder, and end with their channel. */
import { inheritedEnvironment, settingsEnvironment, type Settings } from '../config.ts';
import { inProject, projectRoot } from './project.ts';
import type { ServerSpec } from './server-spec.ts';

export type AppName = 'cdc-consumer' | 'worker' | 'generator';

export function appProcess(name: AppName, settings: Settings): ServerSpec {
  return {
    name,
    ports: [],
    stopSignal: 'SIGTERM',
    ready: 'message',
    command: async () => ({
      file: process.execPath,
      args: ['--enable-source-maps', inProject('dist/main', `${name}.js`)],
      cwd: projectRoot,
      env: { ...inheritedEnvironment(), ...settingsEnvironment(settings) },
    }),
  };
}
