/**
 * `npm run bench [-- a b c d e f g h i] [--quick] [--json] [--redis-server <file>]`: measures the pipeline on this machine.
 * A full run writes docs/performance/<part>.json with every raw sample; what the figures mean is in docs/performance.md.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runParts } from './bench/parts.ts';
import { inProject } from '../src/stack/project.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false }, 'redis-server': { type: 'string' } },
});
const reports: unknown[] = [];
await runParts({
  parts: positionals,
  quick: values.quick,
  redisFile: values['redis-server'],
  say: (text) => console.error(`[${(performance.now() / 1000).toFixed(0).padStart(4)} s] ${text}`),
  done: ({ part, report, text }) => {
    reports.push(report);
    if (!values.json) console.log(`\n${text}`);
    if (values.quick) return;
    mkdirSync(inProject('docs/performance'), { recursive: true });
    writeFileSync(inProject('docs/performance', `${part}.json`), `${JSON.stringify(report, null, 1)}\n`);
  },
});
if (values.json) console.log(JSON.stringify(reports));
