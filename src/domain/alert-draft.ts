/** A finding on its way to becoming an alert: what it is about and where it was seen; its episode is decided when it is published. */
import type { AlertType, Severity } from './alert.ts';
import type { Finding } from './rules/rule.ts';

export interface AlertDraft {
  type: AlertType;
  severity: Severity;
  finding: Finding;
  /** The condition is over. */
  resolved: boolean;
  /** `<topic>-<partition>:<offset>` of the change that showed it. */
  origin: string;
}
