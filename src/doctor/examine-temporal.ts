/** Temporal: the namespace and its search attributes. */
import { access } from '../access.ts';
import { describeTemporal } from '../adapters/temporal-description.ts';
import type { Settings } from '../config.ts';
import { searchAttributes } from '../stack/temporal.ts';
import { judge, type Finding, type Moment } from './check.ts';
import { temporalChecks } from './temporal-checks.ts';

export async function examineTemporal(settings: Settings, moment: Moment): Promise<Finding[]> {
  const options = access.temporal(settings);
  const { address, namespace } = options;
  const facts = { ...(await describeTemporal(options)), address, namespace, wantedAttributes: searchAttributes, alertAgeMsMax: settings.ALERT_MAX_AGE_MS };
  return judge('temporal', temporalChecks, facts, moment);
}
