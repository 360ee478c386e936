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

**order_rate** needs 50 closed minutes before it may fire. It has two entities, \`orders\` and \`revenue\`; how the band is learnt:
[ADR 14](adr/0014-the-detector-is-competing-forecasters.md).`);
