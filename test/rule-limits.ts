import { loadSettings } from '../src/config.ts';
import { ruleLimits } from '../src/domain/rules/limits.ts';

/** The default thresholds, whatever the environment holds. */
export const limits = ruleLimits(loadSettings({}, '/nowhere'));
