/** Settings that mean nothing, or something else than was meant, without another one or beside its value. Pure. */

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
  pair('ALERT_WEBHOOK_URL', 'ALERT_WEBHOOK_SECRET'),
];

/** The first must be less than the second, in the unit of the first. */
const lessThan: readonly { setting: string; than: string; unit: number; why: string }[] = [
  { setting: 'ALERT_ESCALATE_L2_SECONDS', than: 'ALERT_ESCALATE_L3_SECONDS', unit: 1, why: 'levels follow each other' },
  { setting: 'ALERT_GAP_SECONDS', than: 'ALERT_QUIET_SECONDS', unit: 1, why: 'an alert that is over would take up crossings that nobody is told of' },
  { setting: 'ALERT_TIMEOUT_MS', than: 'ALERT_DELIVERY_SECONDS', unit: 1000, why: 'a channel that hangs would not be told from one that nobody has tried' },
];

/** What is wrong with settings that are each valid, each setting once. `said`: only what was said now must have what it needs. */
export function unsound(values: GivenSettings, said: GivenSettings): { setting: string; why: string }[] {
  const missing = pairs.filter((one) => one.isGiven(values) && !one.isThere(values) && said[one.setting] !== undefined).map(({ setting, needs }) => ({ setting, why: `needs ${needs} too` }));
  const contrary = lessThan
    .filter(({ setting, than, unit }) => Number(values[setting]) >= unit * Number(values[than]))
    .map(({ setting, than, why }) => ({ setting, why: `${String(values[setting])} must be less than ${than} (${String(values[than])}): ${why}` }));
  const found = [...missing, ...contrary];
  return found.filter(({ setting }, i) => found.findIndex((one) => one.setting === setting) === i);
}
