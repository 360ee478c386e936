/** What this machine must have: space, folders that the servers can take, and the programs that the servers it starts need. */
import { ok, problem, warning, type Check } from './check.ts';

export interface MachineFacts {
  /** Free bytes by folder, named by the setting that chose it. */
  free: { setting: string; folder: string; bytes: number }[];
  /** Null when no server is started here. */
  tools: {
    /** First part of Java's version; null when it cannot be run. Undefined when it is not needed, as the others. */
    java?: { program: string; major: number | null };
    maven?: boolean;
    python?: 'there' | 'no venv' | null | undefined;
  };
  /** Folders that Kafka and Kafka Connect are told in lists, and what ends a name there; none when neither is started here. */
  listed: { setting: string; folder: string; separators: string[] }[];
  /** What the folder of the data should have at least for WAL that waits, MiB; 0 when PostgreSQL is not started here. */
  walKeepMb: number;
}

const oldestJava = 17;
const mebi = 1024 * 1024;
const leastMb = 1024;

export const machineChecks: readonly Check<MachineFacts>[] = [
  {
    name: 'Java',
    judge: ({ tools: { java } }) => {
      if (!java) return ok('not needed: Kafka and Kafka Connect are not started here');
      const fix = `apt install openjdk-${oldestJava}-jre-headless`;
      if (java.major === null) return problem(`Java >= ${oldestJava} is missing (${java.program})`, fix);
      return java.major >= oldestJava ? ok(String(java.major)) : problem(`Java >= ${oldestJava} is needed, ${java.program} is ${java.major}`, `${fix}, or set JAVA_HOME`);
    },
  },
  {
    name: 'Maven',
    judge: ({ tools: { maven } }) => (maven === false ? problem('Maven is missing', 'apt install maven') : ok(maven ? 'there' : 'not needed: Kafka and Kafka Connect are not started here, or are fetched')),
  },
  {
    name: 'Python',
    judge: ({ tools: { python } }) => {
      if (python === null) return problem('Python 3 is missing', 'apt install python3 python3-venv');
      if (python === 'no venv') return problem("Python's venv module is missing", 'apt install python3-venv');
      return ok(python ?? 'not needed: Redis and Temporal are not started here, or are fetched');
    },
  },
  {
    name: 'folders',
    judge: ({ listed }) => {
      const split = listed.filter(({ folder, separators }) => separators.some((one) => folder.includes(one)));
      if (split.length === 0) return ok('their names can be told to every server');
      const says = split.map(({ setting, folder }) => `${setting} is ${folder}`).join(', ');
      return problem(`${says}: Kafka takes it for several`, `Set ${split.map(({ setting }) => setting).join(' and ')} to a path without comma and colon.`);
    },
  },
  {
    name: 'disk',
    judge: ({ free, walKeepMb }) => {
      const says = free.map(({ setting, bytes }) => `${Math.round(bytes / mebi)} MiB free in ${setting}`).join(', ');
      const below = (mb: number): string[] => free.filter(({ bytes }) => bytes < mb * mebi).map(({ setting, folder }) => `${folder} (${setting})`);
      const fix = (folders: string[]): string => `Free space in ${folders.join(' and ')}, or set another folder.`;
      const full = below(leastMb);
      if (full.length > 0) return problem(says, fix(full));
      const tight = below(walKeepMb + leastMb);
      return tight.length === 0 ? ok(says) : warning(`${says}; WAL alone may take ${walKeepMb} MiB (PG_SLOT_KEEP_MB)`, fix(tight));
    },
  },
];
