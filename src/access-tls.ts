/** How connections to servers that are there already are encrypted and, beside passwords, authenticated. Files are read here. */
import { readFileSync } from 'node:fs';
import { ConfigError, requireSecret, type Settings } from './config.ts';

type FileSetting = 'POSTGRES_TLS_CA_FILE' | 'KAFKA_TLS_CA_FILE' | 'REDIS_TLS_CA_FILE' | 'TEMPORAL_TLS_CA_FILE' | 'TEMPORAL_TLS_CERT_FILE' | 'TEMPORAL_TLS_KEY_FILE';

/** As `{ [part]: text }`; empty when the setting is not given. */
function pem<Part extends string>(loaded: Settings, setting: FileSetting, part: Part): Partial<Record<Part, string>> {
  const file = loaded[setting];
  if (file === undefined) return {};
  try {
    return { [part]: readFileSync(file, 'utf8') } as Record<Part, string>;
  } catch (error) {
    throw new ConfigError(`${setting} names ${file}, which cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export const postgresTls = (loaded: Settings) =>
  loaded.POSTGRES_TLS === 'off' ? {} : { tls: { verify: loaded.POSTGRES_TLS === 'verify-full', ...pem(loaded, 'POSTGRES_TLS_CA_FILE', 'ca') } };

export const redisTls = (loaded: Settings) => (loaded.REDIS_TLS === 'off' ? {} : { tls: pem(loaded, 'REDIS_TLS_CA_FILE', 'ca') });

export const kafkaSecurity = (loaded: Settings) => ({
  ...(loaded.KAFKA_TLS === 'on' && { tls: pem(loaded, 'KAFKA_TLS_CA_FILE', 'ca') }),
  ...(loaded.KAFKA_SASL_MECHANISM && { sasl: { mechanism: loaded.KAFKA_SASL_MECHANISM, username: loaded.KAFKA_SASL_USERNAME ?? '', password: requireSecret(loaded, 'KAFKA_SASL_PASSWORD') } }),
});

export const temporalSecurity = (loaded: Settings) => ({
  ...(loaded.TEMPORAL_TLS === 'on' && {
    tls: { ...pem(loaded, 'TEMPORAL_TLS_CA_FILE', 'ca'), ...pem(loaded, 'TEMPORAL_TLS_CERT_FILE', 'cert'), ...pem(loaded, 'TEMPORAL_TLS_KEY_FILE', 'key') },
    ...(loaded.TEMPORAL_API_KEY && { apiKey: loaded.TEMPORAL_API_KEY }),
  }),
});
