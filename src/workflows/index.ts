/** The bundler's entry: every workflow, nothing else. */
export { pipelineHeartbeat } from './pipeline-heartbeat.ts';
