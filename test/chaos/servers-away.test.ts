/**
 * Goal: a server that goes away for seconds and comes back costs no exactness, and the consumer outlives it.
 * Method: each server is stopped, killed or frozen for a few seconds under load; what is missing must be said meanwhile.
 */
import { after, before, test } from 'node:test';
import { seededChoices, servers, ways } from '../faults.ts';
import { surviveAbsence } from '../survive-absence.ts';
import { useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const choices = seededChoices('servers-away');

servers.forEach((server, i) => {
  const way = ways[(choices.seed + i) % ways.length]!; // three seeds in a row cover every pair
  const awayMs = 1000 * choices.between(3, 9);
  test(`${server}: ${way} for ${awayMs / 1000} s`, (t) => surviveAbsence(t, stack, { server, way, awayMs }));
});
