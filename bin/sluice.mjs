#!/usr/bin/env node
// `sluice …`: puts the checkout in order (install, build), then hands over to the built command line.
import { bootstrap } from './bootstrap.mjs';

await bootstrap();
await import('../dist/main/cli.js');
