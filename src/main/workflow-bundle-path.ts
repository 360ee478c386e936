import { fileURLToPath } from 'node:url';

/** Written by the build (bundle-workflows), read by the worker. */
export const workflowBundlePath = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));
