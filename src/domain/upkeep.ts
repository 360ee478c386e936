/** What lives for a time only, looked after in the commit that changes it, so nothing is left behind by who dies. Logical names, milliseconds. */
export interface Upkeep {
  /** Members that score below `below` are removed. */
  sets: { name: string; ttlMs: number; below: number }[];
  /** The member of a set that scores highest, told with its score in two fields of a hash. */
  last: { set: string; hash: string; fields: [member: string, score: string] }[];
  /** `removed`: fields that are too old. */
  hashes: { name: string; ttlMs: number; removed: string[] }[];
  /** What the batch gives others to look at: fields of hashes. */
  told: [hash: string, field: string, value: string][];
  /** The same, only where the set then holds more than `most` members. */
  toldAbove: { set: string; most: number; hash: string; field: string; value: string }[];
}
