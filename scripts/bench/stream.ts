/** Part h: what the stream costs beside the replica, what each rule costs, and how soon an anomaly is a workflow. */
import { alertTable, measureAlerts, type AlertResult } from './alert-latency.ts';
import { startLab } from './lab.ts';
import { measureProfile, profileTable, type ProfileResult } from './profile.ts';
import { ordersOnly, startFilledStack } from './real-stack.ts';
import { measureRuleCost, ruleCostTable, type RuleCostResult } from './rule-cost.ts';
import { measureStage, stageTable, type StageResult } from './stream-stage.ts';
import { fillOrders } from './topic.ts';

export interface StreamResult {
  stage: StageResult;
  profile: ProfileResult;
  rules: RuleCostResult;
  alerts: AlertResult;
}

export async function measureStream(quick: boolean, say: (text: string) => void): Promise<StreamResult> {
  const stage = await measureStages(quick, say);
  const { stack } = await startFilledStack(ordersOnly(1000));
  try {
    const alerts = await measureAlerts(stack, quick ? { perSecond: 5, seconds: 10, rounds: 1, burst: 100 } : { perSecond: 5, seconds: 60, rounds: 3, burst: 500 }, say);
    return { ...stage, alerts };
  } finally {
    await stack.stop();
  }
}

async function measureStages(quick: boolean, say: (text: string) => void): Promise<Omit<StreamResult, 'alerts'>> {
  const lab = await startLab(undefined);
  try {
    const redis = lab.redis.at(-1)!;
    const size = quick ? { warmUp: 20_000, events: 80_000 } : { warmUp: 50_000, events: 550_000 };
    const workload = await fillOrders(lab, size, say, Date.now() - size.events); // its last event happened just now: the windows live
    const stage = await measureStage(lab, redis, workload, quick ? 1 : 5, say);
    const profile = await measureProfile(lab, redis, workload, 'stream-consumer');
    const rules = await measureRuleCost(lab, redis, quick ? 40_000 : 200_000, quick ? 1 : 5);
    say(`h all rules ${rules.allUs} µs an event`);
    return { stage, profile, rules };
  } finally {
    await lab.stop();
  }
}

export const streamTable = ({ stage, profile, rules, alerts }: StreamResult): string => [stageTable(stage), ruleCostTable(rules), alertTable(alerts), profileTable(profile)].join('\n\n');
