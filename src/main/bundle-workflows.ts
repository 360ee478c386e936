/** Build step: bundles the workflows once, so that a worker starts in a moment. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { workflowBundlePath } from './workflow-bundle-path.ts';

const { code } = await bundleWorkflowCode({
  workflowsPath: fileURLToPath(new URL('../workflows/index.js', import.meta.url)),
  logger: { log: ignore, trace: ignore, debug: ignore, info: ignore, warn: ignore, error: (message) => process.stderr.write(`${message}\n`) },
});
writeFileSync(workflowBundlePath, code);

function ignore(): void {
  // the bundler's own chatter; errors are shown
}
