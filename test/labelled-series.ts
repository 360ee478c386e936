/**
 * Series with known anomalies, by kind and seed: server metrics, counts, seasonal traffic, shifts, trends, changed patterns.
 * A point is labelled when an operator who knew the process would call it wrong; after a lasting shift the first twenty are.
 */

export interface LabelledPoint {
  timestampMs: number;
  value: number;
  anomaly: boolean;
}

interface Chance {
  uniform: () => number;
  normal: () => number;
  integer: (below: number) => number;
  poisson: (mean: number) => number;
}

/** Mulberry32. */
export function chance(seed: number): Chance {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const poisson = (mean: number): number => {
    if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal()));
    let product = uniform();
    let count = 0;
    for (const limit = Math.exp(-mean); product > limit; count += 1) product *= uniform();
    return count;
  };
  return { uniform, normal, poisson, integer: (below) => Math.floor(uniform() * below) };
}

const startMs = Date.UTC(2026, 0, 5);
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const turn = (timeMs: number, periodMs: number): number => 2 * Math.PI * (timeMs / periodMs);

/** Builds one series: `at` gives the value of each point, or nothing for one that is missing. */
function build(points: number, intervalMs: number, at: (i: number, timeMs: number) => { value: number; anomaly?: boolean } | undefined): LabelledPoint[] {
  const series: LabelledPoint[] = [];
  for (let i = 0; i < points; i += 1) {
    const timestampMs = startMs + i * intervalMs;
    const point = at(i, timestampMs);
    if (point) series.push({ timestampMs, value: point.value, anomaly: point.anomaly ?? false });
  }
  return series;
}

/** `count` stretches of `length` points in the last two thirds, far enough from each other. */
function stretches(random: Chance, points: number, count: number, length: number): (i: number) => number {
  const first = Math.floor(points / 3);
  const room = Math.floor((points - first) / count);
  const starts = Array.from({ length: count }, (_, k) => first + k * room + random.integer(Math.max(1, room - length - 25)));
  /** Which stretch a point is in, or -1. */
  return (i) => starts.findIndex((start) => i >= start && i < start + length);
}

const traffic = (timeMs: number): number => (100 + 60 * Math.sin(turn(timeMs, day) - 2) + 20 * Math.sin(turn(timeMs, day / 2))) * ([0, 6].includes(new Date(timeMs).getUTCDay()) ? 0.6 : 1);

/** Kind → series of a seed. */
export const kinds: Record<string, (seed: number) => LabelledPoint[]> = {
  'spikes over correlated noise': (seed) => {
    const random = chance(seed);
    const inSpike = stretches(random, 3000, 8, 2);
    let noise = 0;
    return build(3000, 5 * minute, (i) => {
      noise = 0.7 * noise + random.normal();
      const spike = inSpike(i);
      return { value: 40 + 2 * noise + (spike < 0 ? 0 : (spike % 2 === 0 ? 1 : -1) * (14 + 4 * random.uniform())), anomaly: spike >= 0 };
    });
  },
  'daily and weekly traffic': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 6000, 8, 4);
    return build(6000, 5 * minute, (i, time) => {
      const usual = traffic(time);
      const at = odd(i);
      return { value: Math.max(0, usual * (1 + 0.06 * random.normal()) + (at < 0 ? 0 : at % 2 === 0 ? 55 : -0.6 * usual)), anomaly: at >= 0 };
    });
  },
  'orders per minute with silence': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 8640, 8, 10);
    return build(8640, minute, (i, time) => {
      const mean = traffic(time) / 8;
      const at = odd(i);
      return { value: random.poisson(at < 0 ? mean : at % 2 === 0 ? 0 : 3 * mean), anomaly: at >= 0 };
    });
  },
  'level shifts': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 3000, 3, 20);
    let level = 100;
    let last = -1;
    return build(3000, 5 * minute, (i) => {
      const at = odd(i);
      if (at >= 0 && at !== last) level += (random.uniform() < 0.5 ? -1 : 1) * (20 + 20 * random.uniform());
      last = at;
      return { value: level + 4 * random.normal(), anomaly: at >= 0 };
    });
  },
  'hourly seasons on a trend': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 1680, 10, 1);
    return build(1680, hour, (i, time) => {
      const usual = 1000 + 0.6 * i + 150 * Math.sin(turn(time, day)) + 60 * Math.sin(turn(time, day / 2)) + 90 * Math.sin(turn(time, 7 * day));
      return { value: usual + 15 * random.normal() + (odd(i) < 0 ? 0 : (odd(i) % 2 === 0 ? 1 : -1) * 130), anomaly: odd(i) >= 0 };
    });
  },
  'changed pattern': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 4000, 3, 100);
    return build(4000, 5 * minute, (i, time) => {
      const at = odd(i);
      const wave = at === 0 ? 0 : at === 1 ? -1 : at === 2 ? 2 : 1;
      return { value: 50 + 20 * wave * Math.sin(turn(time, day)) + 2 * random.normal(), anomaly: at >= 0 };
    });
  },
  'random walk with jumps': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 3000, 6, 1);
    let level = 500;
    return build(3000, minute, (i) => {
      level += random.normal() + (odd(i) < 0 ? 0 : (odd(i) % 2 === 0 ? 1 : -1) * 15);
      return { value: level, anomaly: odd(i) >= 0 };
    });
  },
  'bursts of noise': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 3000, 4, 40);
    return build(3000, 5 * minute, (i) => ({ value: 20 + random.normal() * (odd(i) < 0 ? 1 : 4), anomaly: odd(i) >= 0 }));
  },
  'heavy-tailed latency': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 4000, 5, 25);
    return build(4000, minute, (i) => ({ value: Math.exp(3 + 0.5 * random.normal() + (odd(i) < 0 ? 0 : 1.5)), anomaly: odd(i) >= 0 }));
  },
  'constant with blips': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 2000, 5, 2);
    return build(2000, minute, (i) => ({ value: odd(i) < 0 ? 12 : 12 + 3 * (1 + random.uniform()), anomaly: odd(i) >= 0 }));
  },
  'mostly zero': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 3000, 5, 5);
    return build(3000, minute, (i) => ({ value: odd(i) < 0 ? (random.uniform() < 0.05 ? 1 + random.integer(3) : 0) : 8 + random.integer(10), anomaly: odd(i) >= 0 }));
  },
  'irregular and full of gaps': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 4500, 7, 6);
    return build(4500, 5 * minute, (i, time) => {
      if (random.uniform() < 0.15 || i % 900 > 860) return undefined;
      const usual = 80 + 40 * Math.sin(turn(time, day));
      return { value: usual + 4 * random.normal() + (odd(i) < 0 ? 0 : usual > 80 ? -35 : 35), anomaly: odd(i) >= 0 };
    });
  },
  'a period of its own': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 2000, 8, 2);
    return build(2000, 1000, (i) => {
      const usual = 10 * Math.sin((2 * Math.PI * i) / 37) + (i % 37 < 5 ? 12 : 0);
      return { value: usual + 0.8 * random.normal() + (odd(i) < 0 ? 0 : usual > 0 ? -9 : 9), anomaly: odd(i) >= 0 };
    });
  },
  'a stuck sensor': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 3000, 3, 60);
    let stuck = 0;
    let noise = 0;
    return build(3000, 5 * minute, (i) => {
      noise = 0.8 * noise + random.normal();
      if (odd(i) < 0) stuck = 70 + noise;
      return { value: stuck, anomaly: odd(i) >= 0 };
    });
  },
  'a bursty server metric': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 4000, 4, 15);
    let job = 0;
    return build(4000, 5 * minute, (i) => {
      if (job === 0 && random.uniform() < 0.02) job = 1 + random.integer(4);
      else if (job > 0) job -= 1;
      const busy = job > 0 ? 10 + 15 * random.uniform() : 0;
      return { value: Math.max(0, 3 + 0.3 * random.normal() + busy + (odd(i) < 0 ? 0 : 40 + 10 * random.normal())), anomaly: odd(i) >= 0 };
    });
  },
  'mentions in a network': (seed) => {
    const random = chance(seed);
    const odd = stretches(random, 6000, 5, 12);
    let mood = 0;
    return build(6000, 5 * minute, (i, time) => {
      mood = 0.9 * mood + 0.3 * random.normal();
      const mean = (25 + 15 * Math.sin(turn(time, day))) * Math.exp(0.5 * mood + (random.uniform() < 0.01 ? 1 : 0));
      return { value: random.poisson(odd(i) < 0 ? mean : 8 * mean + 60), anomaly: odd(i) >= 0 };
    });
  },
};
