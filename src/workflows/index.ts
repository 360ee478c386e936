/** The bundler's entry: every workflow, nothing else. */
export { alertLifecycle } from './alert-lifecycle.ts';
export { backfill } from './backfill.ts';
export { batchEtl } from './batch-etl.ts';
export { pipelineHeartbeat } from './pipeline-heartbeat.ts';
export { rebuildReplica } from './rebuild-replica.ts';
export { superviseConnector } from './supervise-connector.ts';
export { sweepAlerts } from './sweep-alerts.ts';
