/** Goal: of a running stack the doctor finds nothing wrong, and at once what is. Method: the command as a person runs it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Finding } from '../../src/doctor/check.ts';
import { tableTopic } from '../../src/domain/topics.ts';
import { useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const notOk = (findings: Finding[]): string[] => findings.filter(({ level, check }) => level !== 'ok' && check !== 'disk').map(({ check, level }) => `${check} ${level}`);

test('a stack in order has no problem; a topic that compacts is one, with the command that mends it', async () => {
  const doctor = async () => {
    const { code, stdout, stderr } = await stack.sluice('doctor', '--json');
    assert.match(stdout, /^\{/, stderr);
    return { code, findings: (JSON.parse(stdout) as { findings: Finding[] }).findings };
  };
  const sound = await doctor();
  assert.deepEqual(notOk(sound.findings), []);
  assert.equal(sound.code, 0);
  assert.deepEqual([...new Set(sound.findings.map(({ subject }) => subject))].toSorted(), ['connect', 'kafka', 'machine', 'postgres', 'redis', 'temporal']);

  const topic = tableTopic(stack.settings.TOPIC_PREFIX, 'products');
  await stack.kafka.setTopicConfig([topic], 'cleanup.policy', 'compact');
  const { code, findings } = await doctor();
  await stack.kafka.setTopicConfig([topic], 'cleanup.policy', 'delete');
  assert.deepEqual([code, notOk(findings)], [3, ['cleanup.policy problem']]);
  assert.match(findings.find(({ check }) => check === 'cleanup.policy')?.fix ?? '', new RegExp(`--entity-name ${topic} --add-config cleanup.policy=delete`));
});
