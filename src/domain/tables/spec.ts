/** Names of what contributions mean: `<processor>-<number>`, the number raised whenever a contribution comes to mean something else. */
const shape = /^(.+)-(\d{1,9})$/;

/** Whether `spec` comes after `other`; false when they are not of one processor. */
export function isNewerSpec(spec: string, other: string): boolean {
  const [, name, number] = shape.exec(spec) ?? [];
  const [, otherName, otherNumber] = shape.exec(other) ?? [];
  return name !== undefined && name === otherName && Number(number) > Number(otherNumber);
}
