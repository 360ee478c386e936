/** A password that cannot be printed by accident: every way of turning it into text gives `***`. */
const inspect = Symbol.for('nodejs.util.inspect.custom');

export class Secret {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  /** The plain text: only for handing to a driver or writing to the 0600 secrets file. */
  reveal(): string {
    return this.#text;
  }
  toString(): string {
    return '***';
  }
  toJSON(): string {
    return '***';
  }
  [inspect](): string {
    return '***';
  }
}
