/** What every rule of the stream has in common. A rule is a pure function of a small input and the limits; who calls it keeps the state. */
import type { AlertType, Severity } from '../alert.ts';

/** The thresholds in force. */
export interface RuleLimits {
  highValueCents: number;
  bulkOrdersMax: number;
  stockDepletionUnitsMax: number;
  lowStockBelow: number;
  geoSharePercent: number;
  geoCustomersMin: number;
  orderRateWarmMinutes: number;
}

/** A rule that fired. Texts are for a person, times are event times. */
export interface Finding {
  /** When the threshold was crossed. */
  atMs: number;
  entity: string;
  value: string;
  threshold: string;
  /** Length of the window that was looked at; null where there is none. */
  windowMs: number | null;
}

export interface Rule<Input, Outcome> {
  /** Of the alerts it makes. */
  type: AlertType;
  severity: Severity;
  /** What the alert is about. */
  entity: 'order' | 'customer' | 'product' | 'state' | 'measure';
  description: string;
  /** Names of the settings it reads. */
  settings: readonly string[];
  evaluate: (input: Input, limits: RuleLimits) => Outcome;
}

/** Whole cents as `1234.50`. */
export function money(cents: number | bigint): string {
  const digits = String(cents < 0 ? -cents : cents).padStart(3, '0');
  return `${cents < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
