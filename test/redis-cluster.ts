/** A real Redis Cluster of three nodes on loopback, with a consumers' user for each of some pipelines. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { loadSettings, type Settings } from '../src/config.ts';
import { findFreePort } from '../src/stack/ports.ts';
import { createProgress } from '../src/stack/progress.ts';
import { accessList } from '../src/stack/redis.ts';
import { settleSecrets } from '../src/stack/secrets.ts';
import { fetchTools } from '../src/stack/tools.ts';
import { until } from './stack.ts';

const slots = 16_384;

interface Node {
  port: number;
  /** As its administrator. */
  admin: Redis;
  process: ChildProcess;
}

export interface TestCluster {
  /** By prefix: how a process of that pipeline is configured. */
  settings: Map<string, Settings>;
  nodes: Node[];
  /** Of the node that holds this key. */
  ownerOf: (key: string) => Promise<Node>;
  /** Ends a node at once and starts it again. */
  restart: (node: Node) => Promise<void>;
  stop: () => Promise<void>;
}

export async function startRedisCluster(prefixes: string[]): Promise<TestCluster> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  const ports = [await findFreePort(), await findFreePort(), await findFreePort()];
  const settingsOf = (prefix: string) =>
    settleSecrets(loadSettings({ SLUICE_DATA_DIR: dir, SLUICE_TOOLS_DIR: process.env['SLUICE_TOOLS_DIR'] ?? '', REDIS_HOST: '127.0.0.1', REDIS_PORT: String(ports[0]), REDIS_CLUSTER: 'on', REDIS_KEY_PREFIX: prefix, REDIS_PASSWORD: 'admin-of-the-cluster', SLUICE_REDIS_PASSWORD: 'consumers-of-the-cluster' }));
  const settings = new Map(prefixes.map((prefix) => [prefix, settingsOf(prefix)]));
  const [first] = settings.values();
  const { redisServer } = await fetchTools(first!.SLUICE_TOOLS_DIR, createProgress(() => undefined), new AbortController().signal);
  const users = [...new Set([...settings.values()].flatMap((one) => accessList(one).split('\n')))].join('\n');

  const run = (port: number): ChildProcess => spawn(redisServer, ['redis.conf'], { cwd: join(dir, String(port)), stdio: 'ignore' });
  const nodes = await Promise.all(
    ports.map(async (port): Promise<Node> => {
      const home = join(dir, String(port));
      mkdirSync(home);
      writeFileSync(join(home, 'users.acl'), users);
      const config = ['bind 127.0.0.1', `port ${port}`, 'cluster-enabled yes', `cluster-port ${await findFreePort()}`, 'cluster-node-timeout 15000', 'cluster-require-full-coverage no', 'aclfile users.acl', 'appendonly yes', 'appendfsync no', 'save ""', 'maxmemory-policy noeviction'];
      writeFileSync(join(home, 'redis.conf'), `${config.join('\n')}\n`);
      const admin = new Redis({ host: '127.0.0.1', port, password: 'admin-of-the-cluster', maxRetriesPerRequest: null, retryStrategy: () => 100 });
      admin.on('error', () => undefined);
      return { port, admin, process: run(port) };
    }),
  );
  await introduce(nodes);
  return {
    settings,
    nodes,
    ownerOf: async (key) => {
      const slot = Number(await nodes[0]!.admin.call('CLUSTER', 'KEYSLOT', key));
      return nodes[Math.floor((slot * nodes.length) / slots)]!;
    },
    restart: async (node) => {
      await end(node.process, 'SIGKILL');
      node.process = run(node.port);
      await untilWhole(nodes);
    },
    stop: async () => {
      for (const { admin } of nodes) admin.disconnect();
      await Promise.all(nodes.map(({ process: child }) => end(child, 'SIGTERM')));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Gives each a third of the slots and makes them known to each other. */
async function introduce(nodes: Node[]): Promise<void> {
  for (const [i, { admin }] of nodes.entries()) {
    await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
    const from = (n: number): number => Math.ceil((n * slots) / nodes.length);
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', from(i), from(i + 1) - 1);
  }
  const [, busPort] = /@(\d+)/.exec(String(await nodes[0]!.admin.call('CLUSTER', 'NODES'))) ?? [];
  for (const { admin } of nodes.slice(1)) await admin.call('CLUSTER', 'MEET', '127.0.0.1', nodes[0]!.port, busPort!);
  await untilWhole(nodes);
}

async function untilWhole(nodes: Node[]): Promise<void> {
  await until('every node sees all slots', async () => {
    const texts = await Promise.all(nodes.map(({ admin }) => admin.call('CLUSTER', 'INFO')));
    return texts.every((text) => /cluster_state:ok/.test(String(text)) && /cluster_slots_ok:16384/.test(String(text)) && /cluster_known_nodes:3/.test(String(text)));
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}
