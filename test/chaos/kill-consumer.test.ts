/**
 * Goal: kill -9 of the consumer between read and commit neither loses nor doubles anything.
 * Method: ten times under the generator's load the failpoint kills it right before its commit; the supervisor restarts it;
 * then `sluice verify` compares every row and counter with the source.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertVerified, until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const total = async (): Promise<number> => Number((await stack.redis.strings([stack.keys.statsTotal]))[0] ?? 0);
const restarts = async (): Promise<number> => (await stack.status()).processes.find(({ name }) => name === 'cdc-consumer')!.restarts;

test('ten kills between read and commit under load leave the replica exact', async () => {
  const restartsBefore = await restarts();
  for (let kill = 1; kill <= 10; kill += 1) {
    stack.arm('cdc.commit', 'kill');
    await until(`kill ${kill} landed`, async () => !stack.isArmed('cdc.commit'));
    const applied = await total();
    await until(`the consumer applies again after kill ${kill}`, async () => (await total()) > applied);
  }
  assert.ok((await restarts()) - restartsBefore >= 10, 'ten restarts were seen by the supervisor');
  await assertVerified(stack);
});
