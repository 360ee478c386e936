/** The bundler's entry: every workflow, nothing else. */
export { pipelineHeartbeat } from './pipeline-heartbeat.ts';
export { rebuildReplica } from './rebuild-replica.ts';
export { superviseConnector } from './supervise-connector.ts';
