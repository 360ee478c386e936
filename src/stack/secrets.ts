/**
 * The passwords in force. `secrets.env` (mode 0600) holds all of them, generated or given: a command in another shell
 * (status, verify) and the node processes then need nothing more. At a start a password in the environment or .env wins
 * over the file, is applied to its server and recorded; until then the file wins over .env (see config.ts).
 */
import { randomBytes } from 'node:crypto';
import { parseEnv } from 'node:util';
import { isGiven, serverNames, servers } from '../access.ts';
import { ConfigError, givenSecretNames, readEnvFile, requireSecret, secretNames, secretsFile, settings as allSettings, type SecretName, type Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import { writeAtomically } from './state-file.ts';

/** Settings in which no password is missing. */
export type StackSettings = Settings & Record<SecretName, Secret>;

/** Reads, completes and records the passwords. Safe to call at every start: a complete file stays as it is. */
export function settleSecrets(settings: Settings): StackSettings {
  requireGivenServers(settings);
  const secrets = Object.fromEntries(
    secretNames.map((name) => [name, settings[name] ?? new Secret(randomBytes(24).toString('base64url'))]),
  ) as Record<SecretName, Secret>;
  const path = secretsFile(settings.SLUICE_DATA_DIR);
  const recorded = readEnvFile(path);
  const inForce = [...secretNames.map((name) => [name, secrets[name].reveal()] as const), ...givenSecretNames.map((name) => [name, settings[name]?.reveal()] as const)];
  if (inForce.some(([name, text]) => recorded[name] !== text)) {
    const lines = inForce.map(([name, text]) => (text === undefined ? '' : dotenvLine(name, text)));
    writeAtomically(path, `# Passwords of this stack. Made by its first start; removed by reset.\n${lines.join('')}`);
  }
  return { ...settings, ...secrets };
}

/** Settings whose passwords are all known already. Throws a ConfigError that names the first that is not. */
export function knownSecrets(settings: Settings): StackSettings {
  requireGivenServers(settings);
  return { ...settings, ...(Object.fromEntries(secretNames.map((name) => [name, requireSecret(settings, name)])) as Record<SecretName, Secret>) };
}

/** A server that is there already has its own administrator, and what we make up would be lost with the data folder. */
function requireGivenServers(settings: Settings): void {
  const missing = serverNames
    .filter((name) => isGiven(settings, name))
    .flatMap((name) => servers[name].secrets.filter((secret) => !settings[secret]).map((secret) => `${secret}: needed with ${servers[name].address}. ${allSettings[secret].description ?? ''}`));
  if (missing.length > 0) throw new ConfigError(`Passwords of servers that are there already are never generated:\n  ${missing.join('\n  ')}\nSet them in the environment or in .env (see .env.example).`);
}

/** dotenv has no escapes: of the ways to quote, the first that reads back as written, and by a shell too where there is one. */
function dotenvLine(name: string, text: string): string {
  const isPlain = !/["$`\\]/.test(text);
  const line = ["'", ...(isPlain ? ['"'] : []), '`', '"', ''].map((mark) => `${name}=${mark}${text}${mark}\n`).find((candidate) => parseEnv(candidate)[name] === text);
  if (!line) throw new PipelineError('bad_argument', `${name} mixes every kind of quote: choose a password with fewer`);
  return line;
}
