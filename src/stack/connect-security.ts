/** TLS and passwords as Kafka Connect's own clients take them: that of Kafka in the worker, that of PostgreSQL in the connector. */
import { kafkaSecurity } from '../access-tls.ts';
import type { Settings } from '../config.ts';
import { javaProperty } from './template.ts';

const loginModules = { plain: 'plain.PlainLoginModule', 'scram-sha-256': 'scram.ScramLoginModule', 'scram-sha-512': 'scram.ScramLoginModule' } as const;

/** Lines for the worker's properties: for the worker itself, and again for the producers and consumers it makes. None without TLS and SASL. */
export function kafkaClientProperties(settings: Settings): string {
  const { KAFKA_TLS: tls, KAFKA_TLS_CA_FILE: caFile, KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username = '' } = settings;
  if (tls === 'off' && !mechanism) return '';
  const properties = {
    'security.protocol': `${mechanism ? 'SASL_' : ''}${tls === 'on' ? 'SSL' : 'PLAINTEXT'}`,
    ...(caFile && { 'ssl.truststore.type': 'PEM', 'ssl.truststore.location': caFile }),
    ...(mechanism && {
      'sasl.mechanism': mechanism.toUpperCase(),
      'sasl.jaas.config': `org.apache.kafka.common.security.${loginModules[mechanism]} required username="${quoted(username)}" password="\${env:SLUICE_KAFKA_PASSWORD}";`,
    }),
  };
  return ['', 'producer.', 'consumer.'].flatMap((prefix) => Object.entries(properties).map(([name, value]) => `\n${prefix}${name}=${javaProperty(value)}`)).join('');
}

/** What those properties name: it stays out of the file. */
export function kafkaClientEnvironment(settings: Settings): Record<string, string> {
  const { sasl } = kafkaSecurity(settings);
  return sasl ? { SLUICE_KAFKA_PASSWORD: quoted(sasl.password.reveal()) } : {};
}

const quoted = (text: string): string => text.replaceAll(/["\\]/g, '\\$&');

const sslModes = { off: 'disable', require: 'require', 'verify-full': 'verify-full' } as const;

/** Of the connector. The certificates must be there under the same path where Connect runs; without a file Java's own are trusted. */
export function sourceTls({ POSTGRES_TLS: tls, POSTGRES_TLS_CA_FILE: caFile }: Settings): Record<string, string> {
  const trusted: Record<string, string> = caFile ? { 'database.sslrootcert': caFile } : { 'database.sslfactory': 'org.postgresql.ssl.DefaultJavaSSLFactory' };
  return { 'database.sslmode': sslModes[tls], ...(tls === 'verify-full' && trusted) };
}
