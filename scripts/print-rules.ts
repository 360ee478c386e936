/** Prints docs/rules.md from the registry and the settings: `node --import tsx scripts/print-rules.ts > docs/rules.md`. */
import { settings } from '../src/config.ts';
import { rules } from '../src/domain/rules/registry.ts';

const textOf = (names: readonly string[]): string =>
  names.length === 0 ? 'learnt' : names.map((name) => `\`${name}\` (${String(settings[name as keyof typeof settings].parse(undefined))})`).join(', ');

console.log(`# Stream rules

Printed from \`src/domain/rules/registry.ts\` by \`scripts/print-rules.ts\`; what each setting means is in [.env.example](../.env.example).

| rule | fires when | about | severity | thresholds (default) |
|---|---|---|---|---|
${Object.values(rules)
  .map(({ type, description, entity, severity, settings: names }) => `| ${type} | ${description} | ${entity} | ${severity} | ${textOf(names)} |`)
  .join('\n')}

**Windows.** "Within any 60 s" is exact at every offset: events whose times are at most 60.000 s apart lie in one window
(\`src/domain/rules/sliding-window.ts\`). Closed minutes are those of event time, UTC.

**Episodes.** Crossings of one rule and entity that are at most \`ALERT_GAP_SECONDS\` apart are one episode, named by the event time of its first
crossing in milliseconds (\`src/domain/rules/episode.ts\`).

**order_rate** needs \`ORDER_RATE_WARM_MINUTES\` closed minutes before it may fire. It has two entities, \`orders\` and \`revenue\`; how the band is learnt:
[ADR 14](adr/0014-the-detector-is-competing-forecasters.md). To see it fire soon, on a stack of its own (with so little learnt it is wrong now and then):

\`\`\`sh
SLUICE_GENERATOR=off ORDER_RATE_WARM_MINUTES=5 STREAM_ALLOWED_LATENESS_MS=2000 ALERT_GAP_SECONDS=30 npm start
npx sluice generate --orders 840 --rate 2 --anomaly spike       # in another terminal: seven minutes of orders, then 500 at once
npx sluice generate --orders 1800 --rate 2 --anomaly silence    # instead: fifteen minutes of orders, then none for three
npx sluice alerts ls --type order_rate
\`\`\`

A silence needs the more regular past: as long as the band reaches down to zero, no orders are nothing unusual.
A minute is judged \`STREAM_ALLOWED_LATENESS_MS\` after its end, as soon as the next heartbeat (\`HEARTBEAT_INTERVAL_MS\`) tells the time and the stream has applied what was
committed before it.`);
