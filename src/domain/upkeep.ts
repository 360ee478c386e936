/** What lives for a time only, looked after in the commit that changes it, so nothing is left behind by who dies. Logical names, milliseconds. */
export interface Upkeep {
  /** Sorted sets by the score below which their members are removed. */
  trimmed: Map<number, string[]>;
  /** The member of a set that scores highest, told with its score in two fields of a hash. */
  last: { fields: [member: string, score: string]; of: [set: string, hash: string][] }[];
  /** Fields that are too old, and the hashes they are removed from. */
  removed: { fields: string[]; hashes: string[] }[];
  /** Keys by how long they live from now on. */
  lives: Map<number, string[]>;
  /** Sets that are told, with a value, in a hash: those that then hold more than `most` members. */
  toldAbove: { hash: string; most: number; sets: [name: string, value: string][] }[];
  /** What the batch gives others to look at: fields of hashes. */
  told: [hash: string, field: string, value: string][];
}
