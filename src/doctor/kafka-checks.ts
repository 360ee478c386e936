/** What Kafka and the pipeline's topics must be like. */
import { ok, problem, warning, type Check } from './check.ts';

export interface WantedTopic {
  topic: string;
  partitions: number;
  config: Record<string, string>;
}

export interface FoundTopic {
  topic: string;
  partitions: number;
  replicas: number;
  /** Partitions without a leader. */
  leaderless: number;
  config: Record<string, string>;
}

export interface KafkaFacts {
  brokers: number;
  /** For the commands of a fix. */
  bootstrap: string;
  wanted: WantedTopic[];
  found: FoundTopic[];
}

export const kafkaChecks: readonly Check<KafkaFacts>[] = [
  { name: 'brokers', judge: ({ brokers }) => ok(String(brokers)) },
  {
    name: 'topics',
    madeByStart: true,
    judge: ({ wanted, found }) => {
      const missing = wanted.filter(({ topic }) => !found.some((one) => one.topic === topic)).map(({ topic }) => topic);
      if (missing.length > 0) return problem(`missing: ${missing.join(', ')}`, 'Topics are made by a start: npx sluice up. The worker makes one anew that is gone.');
      const headless = found.filter(({ leaderless }) => leaderless > 0).map(({ topic }) => topic);
      return headless.length === 0 ? ok(`${found.length} topics`) : problem(`without a leader: ${headless.join(', ')}`, 'Bring the brokers back that hold their replicas.');
    },
  },
  {
    name: 'partitions',
    judge: (facts) => {
      const wrong = pairs(facts).filter(({ wanted, found }) => wanted.partitions !== found.partitions);
      if (wrong.length === 0) return ok('as TOPIC_PARTITIONS says');
      const says = wrong.map(({ wanted, found }) => `${found.topic} has ${found.partitions}, not ${wanted.partitions}`).join(', ');
      return problem(says, 'Set TOPIC_PARTITIONS to what is there: keys would move to other partitions.');
    },
  },
  setting('cleanup.policy', (found) => found === 'delete', 'problem', 'compaction drops changes that were not read yet'),
  setting('retention.ms', (found, wanted) => Number(found) < 0 || (Number(wanted) >= 0 && Number(found) >= Number(wanted)), 'warning', 'shorter than TOPIC_RETENTION_HOURS'),
  setting('max.message.bytes', (found, wanted) => Number(found) >= Number(wanted), 'problem', 'smaller than what EVENT_BYTES_MAX allows'),
  {
    name: 'replicas',
    judge: ({ brokers, found, bootstrap }) => {
      const stuck = found.filter(({ replicas, config }) => replicas < Number(config['min.insync.replicas'] ?? 1));
      if (stuck.length > 0) return problem(`fewer than min.insync.replicas: ${stuck.map(({ topic }) => topic).join(', ')}`, alter(bootstrap, stuck, 'min.insync.replicas', () => '1'));
      const single = found.filter(({ replicas }) => brokers > 1 && replicas < 2);
      if (single.length === 0) return ok(found.length === 0 ? 'no topics yet' : `${Math.min(...found.map(({ replicas }) => replicas))} of each partition`);
      return warning(`one copy only, though there are ${brokers} brokers: ${single.map(({ topic }) => topic).join(', ')}`, 'Give the broker default.replication.factor=3 before the topics are made; change existing ones with kafka-reassign-partitions.sh.');
    },
  },
];

const pairs = ({ wanted, found }: KafkaFacts) =>
  wanted.flatMap((one) => {
    const twin = found.find(({ topic }) => topic === one.topic);
    return twin ? [{ wanted: one, found: twin }] : [];
  });

/** One setting of every topic that is there. */
function setting(name: string, fits: (found: string, wanted: string) => boolean, level: 'warning' | 'problem', why: string): Check<KafkaFacts> {
  const wish = ({ config }: WantedTopic): string => config[name] ?? 'delete';
  return {
    name,
    judge: (facts) => {
      const wrong = pairs(facts).filter(({ wanted, found }) => !fits(found.config[name] ?? '', wish(wanted)));
      if (wrong.length === 0) return ok('fits');
      const says = wrong.map(({ found }) => `${found.topic} ${found.config[name] ?? 'unknown'}`).join(', ');
      const wishes = new Map(wrong.map(({ wanted }) => [wanted.topic, wish(wanted)]));
      return { level, says: `${says}: ${why}`, fix: alter(facts.bootstrap, wrong.map(({ found }) => found), name, (topic) => wishes.get(topic) ?? '') };
    },
  };
}

const alter = (bootstrap: string, topics: FoundTopic[], name: string, value: (topic: string) => string): string =>
  topics.map(({ topic }) => `kafka-configs.sh --bootstrap-server ${bootstrap} --alter --entity-type topics --entity-name ${topic} --add-config ${name}=${value(topic)}`).join('\n');
