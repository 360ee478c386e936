/** Redis and Temporal agree on what is open: a workflow that was terminated, or whose history is gone, could not say that it is over. */
import type { RedisStore } from '../adapters/redis.ts';
import type { TemporalClient } from '../adapters/temporal.ts';
import type { Keys } from '../domain/keys.ts';
import type { AlertSweepActivities } from '../workflows/alert-contract.ts';
import { closedKeptMs } from './alerts.ts';

export interface AlertSweepDeps {
  redis: RedisStore;
  keys: Keys;
  temporal: Pick<TemporalClient, 'describeWorkflow'>;
}

export const createAlertSweepActivities = ({ redis, keys, temporal }: AlertSweepDeps): AlertSweepActivities => ({
  closeLostAlerts: async () => {
    const [flat = []] = await redis.sortedSets([keys.alertsOpen]);
    let closed = 0;
    for (const member of flat.filter((_, at) => at % 2 === 0)) {
      const [type = '', alertId = ''] = member.split(/:(.*)/s);
      if ((await temporal.describeWorkflow(`alert/${type}/${alertId}`))?.status === 'RUNNING') continue;
      await redis.alertScript('project', [keys.alert(type, alertId), keys.alertsOpen], [member, 0, closedKeptMs, 'status', 'resolved']);
      closed += 1;
    }
    return { closed };
  },
});
