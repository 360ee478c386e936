/** Fills `${NAME}` in the servers' configuration files; `${env:…}` is left for the server itself. And a value as Java's properties take it. */
import { PipelineError } from '../domain/errors.ts';

/** Throws bad_argument on a placeholder without a value: a half-filled file must not reach a server. */
export function fillTemplate(text: string, values: Record<string, string | number>): string {
  return text.replaceAll(/\$\{([A-Z_]+)\}/g, (_match, name: string) => {
    const value = values[name];
    if (value === undefined) throw new PipelineError('bad_argument', `No value for \${${name}} in a configuration template`);
    return String(value);
  });
}

/** As a value in a Java properties file, which is read as ISO 8859-1 with backslashes for what it does not have. */
export const javaProperty = (text: string): string => text.replaceAll(/[\\\u0080-\uffff]/g, (one) => (one === '\\' ? '\\\\' : `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`));
