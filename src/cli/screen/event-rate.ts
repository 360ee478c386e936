/** Events a second over the last seconds, from a counter that is read now and then. A counter that fell (a rebuild) begins anew. */
const windowMs = 5000;

export function createEventRate(): (total: bigint, nowMs: number) => number | null {
  let seen: { total: bigint; ms: number }[] = [];
  return (total, nowMs) => {
    if (seen.some((one) => one.total > total)) seen = [];
    seen = [...seen.filter(({ ms }) => nowMs - ms <= windowMs), { total, ms: nowMs }];
    const [first] = seen;
    return first && nowMs > first.ms ? (Number(total - first.total) * 1000) / (nowMs - first.ms) : null;
  };
}
