/** Prints .env.example from the settings schema: `npx tsx scripts/print-env-example.ts > .env.example`. */
import { givenSecretNames, secretNames, settings } from '../src/config.ts';

const secrets = new Set<string>([...secretNames, ...givenSecretNames]);

console.log(`# Every setting with its default. Copy to .env and keep only what you change; the environment goes before .env.
# An empty value counts as not given. For a secret, <NAME>_FILE may name a file that holds it.`);
for (const [name, schema] of Object.entries(settings)) {
  const value = secrets.has(name) ? undefined : schema.parse(undefined);
  console.log(`\n# ${schema.description}\n${name}=${String(value ?? '')}`);
}
