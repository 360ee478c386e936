/** `compute`, remembering what it gave for the last keys. Pure `compute` only; at most `most` are kept, then all are forgotten at once. */
export function memoize<K, V>(compute: (key: K) => V, most = 10_000): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    if (known.size >= most) known.clear();
    const value = compute(key);
    known.set(key, value);
    return value;
  };
}
