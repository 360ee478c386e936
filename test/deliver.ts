/** Delivers a random history to a processor over a real Redis, in any cut and with zombies, until all of it is applied. */
import assert from 'node:assert/strict';
import type { Claim, Processor } from '../src/consumers/processor.ts';
import { tableTopic } from '../src/domain/topics.ts';
import type { Delivery, History } from './shop-stream.ts';

/** Every partition is claimed with epoch 1 under the rules `rules`. A zombie is another owner of the same fence: it must be refused. */
export async function deliverAll(processor: Processor, topicPrefix: string, { log }: History, plan: Delivery[]): Promise<void> {
  const claims = new Map(
    [...log.keys()].map((name): [string, Claim] => {
      const topic = tableTopic(topicPrefix, name.slice(0, name.lastIndexOf('-')));
      return [name, { topic, partition: Number(name.at(-1)), epoch: 1, spec: 'rules', offset: null, expect: null }];
    }),
  );
  const deliver = async (pick: number, size: number, zombie: boolean): Promise<void> => {
    const [name, records] = [...log][pick % log.size]!;
    const claim = claims.get(name)!;
    const fresh = records.filter(({ offset }) => offset >= (claim.offset ?? 0n)).slice(0, size);
    if (fresh.length === 0) return;
    const ghost = { ...claim };
    assert.deepEqual(await processor.apply(claim, fresh), { result: 'applied' });
    if (zombie) assert.equal((await processor.apply(ghost, fresh)).result, 'refused');
  };
  for (const { partition, size, fate } of plan) if (fate !== 'crash') await deliver(partition, size, fate === 'zombie');
  await Promise.all([...log.keys()].map((_, pick) => deliver(pick, Infinity, false)));
}
