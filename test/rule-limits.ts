import { loadSettings, ruleLimits } from '../src/config.ts';

/** The default thresholds, whatever the environment holds. */
export const limits = ruleLimits(loadSettings({}, '/nowhere'));
