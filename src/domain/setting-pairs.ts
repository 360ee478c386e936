/** Settings that mean nothing, or something else than was meant, without another one. Pure. */

/** As they are resolved; a setting that was not given is absent. */
export type GivenSettings = Partial<Record<string, unknown>>;

interface Pair {
  setting: string;
  isGiven: (values: GivenSettings) => boolean;
  needs: string;
  isThere: (values: GivenSettings) => boolean;
}

const given = (setting: string) => (values: GivenSettings): boolean => values[setting] !== undefined && values[setting] !== 'off' && values[setting] !== '';
const is = (setting: string, value: string) => (values: GivenSettings): boolean => values[setting] === value;
const pair = (setting: string, needs: string, isThere = given(needs)): Pair => ({ setting, isGiven: given(setting), needs, isThere });

/** What only servers that are there already have: those that are started here are plain, and on loopback only. */
const addressed = (address: string, ...names: string[]): Pair[] => names.map((name) => pair(name, address));

const pairs: readonly Pair[] = [
  ...addressed('POSTGRES_HOST', 'POSTGRES_TLS'),
  ...addressed('KAFKA_BROKER', 'KAFKA_TLS', 'KAFKA_SASL_MECHANISM'),
  ...addressed('REDIS_HOST', 'REDIS_TLS', 'REDIS_CLUSTER'),
  ...addressed('TEMPORAL_ADDRESS', 'TEMPORAL_TLS', 'TEMPORAL_API_KEY'),
  pair('POSTGRES_TLS_CA_FILE', 'POSTGRES_TLS=verify-full', is('POSTGRES_TLS', 'verify-full')),
  pair('KAFKA_TLS_CA_FILE', 'KAFKA_TLS=on', is('KAFKA_TLS', 'on')),
  pair('KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME'),
  pair('KAFKA_SASL_MECHANISM', 'KAFKA_SASL_PASSWORD'),
  pair('KAFKA_SASL_USERNAME', 'KAFKA_SASL_MECHANISM'),
  pair('KAFKA_SASL_PASSWORD', 'KAFKA_SASL_MECHANISM'),
  pair('REDIS_TLS_CA_FILE', 'REDIS_TLS=on', is('REDIS_TLS', 'on')),
  pair('REDIS_CLUSTER', 'REDIS_KEY_PREFIX, a hash tag such as {shop}:,', given('REDIS_KEY_PREFIX')),
  ...['TEMPORAL_TLS_CA_FILE', 'TEMPORAL_TLS_CERT_FILE', 'TEMPORAL_TLS_KEY_FILE', 'TEMPORAL_API_KEY'].map((name) => pair(name, 'TEMPORAL_TLS=on', is('TEMPORAL_TLS', 'on'))),
  pair('TEMPORAL_TLS_CERT_FILE', 'TEMPORAL_TLS_KEY_FILE'),
  pair('TEMPORAL_TLS_KEY_FILE', 'TEMPORAL_TLS_CERT_FILE'),
];

/** The settings that were given without what they need, each once, with what that is. */
export function halfGiven(values: GivenSettings): { setting: string; needs: string }[] {
  const missing = pairs.filter((one) => one.isGiven(values) && !one.isThere(values));
  return missing.filter(({ setting }, i) => missing.findIndex((one) => one.setting === setting) === i).map(({ setting, needs }) => ({ setting, needs }));
}
