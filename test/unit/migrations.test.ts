/** Goal: migrations are numbered without gaps, and a password reaches the server as the verifier that RFC 7677 defines. */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Secret } from '../../src/domain/secret.ts';
import { scramVerifier } from '../../src/stack/migrations.ts';

test('sql/ is numbered 001, 002, … without a gap', () => {
  const names = readdirSync('sql').filter((name) => name.endsWith('.sql')).sort();
  assert.deepEqual(names.map((name) => name.slice(0, 4)), names.map((_, i) => `${String(i + 1).padStart(3, '0')}_`));
});

test("the verifier accepts the client's proof and gives the server's signature of RFC 7677, section 3", () => {
  const verifier = scramVerifier(new Secret('pencil'), Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'));
  const [, iterations, salt, storedKey = '', serverKey = ''] = /^SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)$/.exec(verifier) ?? [];
  assert.deepEqual([iterations, salt], ['4096', 'W22ZaJ0SNY7soEsUEjb6gQ==']);
  const message =
    'n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,' +
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
  const sign = (key: string): Buffer => createHmac('sha256', Buffer.from(key, 'base64')).update(message).digest();
  const proof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64');
  const clientKey = sign(storedKey).map((byte, i) => byte ^ proof[i]!);
  assert.equal(createHash('sha256').update(clientKey).digest('base64'), storedKey);
  assert.equal(sign(serverKey).toString('base64'), '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
});
