import assert from 'node:assert/strict';
import { test } from 'node:test';
import { format, inspect } from 'node:util';
import { Secret } from '../../src/domain/secret.ts';

const plain = 'correct-horse';
const secret = new Secret(plain);
/** As code would hold it that takes it for text. */
const taken = secret as unknown as string;

test('a secret gives its text only when asked', () => {
  assert.equal(secret.reveal(), plain);
});

test('every way of turning a secret into text gives ***', () => {
  const texts = [
    String(secret),
    `text: ${taken}`,
    [taken].join(),
    JSON.stringify({ secret }),
    JSON.stringify(secret),
    inspect(secret),
    inspect({ deep: { er: { secret } } }, { depth: null, showHidden: true }),
    format('%s %o %O %j', secret, secret, secret, secret),
    JSON.stringify(Object.assign({}, secret)),
    JSON.stringify(Object.getOwnPropertyDescriptors(secret)),
    new Error(`refused for ${taken}`, { cause: secret }).message,
    inspect(new Error('refused', { cause: secret })),
  ];
  for (const text of texts) assert.ok(!text.includes(plain), text);
  assert.deepEqual(texts.slice(0, 3), ['***', 'text: ***', '***']);
});
