/** What lives for a time only, looked after in the commit that changes it, so nothing is left behind by who dies. Logical names, milliseconds. */
export interface Upkeep {
  /** Sorted sets whose members that score below are removed, unless the set is told in the hash. */
  trimmed: { hash: string; below: number; sets: string[] }[];
  /** The member of a set that scores highest, told with its score in two fields of a hash. */
  last: { fields: [member: string, score: string]; of: [set: string, hash: string][] }[];
  /** Fields that are too old, and the hashes they are removed from. */
  removed: { fields: string[]; hashes: string[] }[];
  /** Keys by how long they live from now on; one that lives longer already does so. */
  lives: Map<number, string[]>;
  /** Sets that are told in a hash as `<origin> <from>`, those that then hold more than `most` members. An earlier `from` that stands there stays. */
  toldAbove: { hash: string; most: number; sets: [name: string, origin: string, from: number][] }[];
  /** What the batch gives others to look at: fields of hashes. */
  told: [hash: string, field: string, value: string][];
}
