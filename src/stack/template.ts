/** Fills `${NAME}` in the servers' configuration files; `${env:…}` is left for the server itself. */
import { PipelineError } from '../domain/errors.ts';

/** Throws bad_argument on a placeholder without a value: a half-filled file must not reach a server. */
export function fillTemplate(text: string, values: Record<string, string | number>): string {
  return text.replaceAll(/\$\{([A-Z_]+)\}/g, (_match, name: string) => {
    const value = values[name];
    if (value === undefined) throw new PipelineError('bad_argument', `No value for \${${name}} in a configuration template`);
    return String(value);
  });
}
