#!/usr/bin/env node
// `sluice …`: puts the checkout in order (install, build), then hands over to the built command line.
import { bootstrap } from './bootstrap.mjs';

await bootstrap({ servers: process.argv[2] === 'up' });
await import('../dist/main/cli.js');
