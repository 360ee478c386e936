/** Exact integer sums: a plain number while it is safe, BigInt beyond. Never a float. */
export type Amount = number | bigint;

export function add(a: Amount, b: Amount): Amount {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return narrow(BigInt(a) + BigInt(b));
}

export const negate = (a: Amount): Amount => (typeof a === 'number' ? 0 - a : narrow(-a));

export function multiply(a: Amount, b: Amount): Amount {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b;
    if (Number.isSafeInteger(product)) return product === 0 ? 0 : product;
  }
  return narrow(BigInt(a) * BigInt(b));
}

/** Whether Redis can hold it and take it back (int64, without its one asymmetric value). */
export const fitsInt64 = (a: Amount): boolean => typeof a === 'number' || (BigInt.asIntN(64, a) === a && BigInt.asIntN(64, -a) === -a);

function narrow(a: bigint): Amount {
  const value = Number(a);
  return Number.isSafeInteger(value) ? value : a;
}
