/**
 * Goal: a server that is away for more than a minute costs no exactness, and the consumer outlives it.
 * Method: each server in turn is stopped, killed or frozen for 61 to 90 seconds under load, longer than every session
 * timeout and request timeout in between.
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

const choices = seededChoices('servers-away-minutes');

servers.forEach((server, i) => {
  const way = ways[(choices.seed + i) % ways.length]!; // three seeds in a row cover every pair
  const awayMs = 1000 * choices.between(61, 90);
  test(`${server}: ${way} for ${awayMs / 1000} s`, (t) => surviveAbsence(t, stack, { server, way, awayMs }));
});
