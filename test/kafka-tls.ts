/** A real Kafka whose clients need TLS and a SCRAM or PLAIN password; its name in the certificate is `localhost`. */
import { spawn } from 'node:child_process';
import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inheritedEnvironment, loadSettings } from '../src/config.ts';
import { eventSizes } from '../src/stack/event-size.ts';
import { jvmCommand } from '../src/stack/jvm.ts';
import { findFreePort, probePort } from '../src/stack/ports.ts';
import { createProgress } from '../src/stack/progress.ts';
import { inProject } from '../src/stack/project.ts';
import { runCommand } from '../src/stack/run-command.ts';
import { serverEnvironment } from '../src/stack/server-spec.ts';
import { fillTemplate } from '../src/stack/template.ts';
import { fetchTools, type Tools } from '../src/stack/tools.ts';
import type { Certificate } from './certificates.ts';
import { until } from './stack.ts';

export interface TlsKafka {
  /** host:port */
  broker: string;
  user: { name: string; password: string };
  tools: Tools;
  stop: () => Promise<void>;
}

export async function startTlsKafka(server: Certificate): Promise<TlsKafka> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  const settings = loadSettings({ SLUICE_DATA_DIR: dir, SLUICE_TOOLS_DIR: process.env['SLUICE_TOOLS_DIR'] ?? '' });
  const tools = await fetchTools(settings.SLUICE_TOOLS_DIR, createProgress(() => undefined), new AbortController().signal);
  const [port, secretPort, controllerPort] = [await findFreePort(), await findFreePort(), await findFreePort()];
  const user = { name: 'shop', password: 'password-of-the-shop' };
  const { messageBytesMax, requestBytesMax, heapMiBMax } = eventSizes(settings);
  const [config, keystore] = [join(dir, 'kafka.properties'), join(dir, 'keystore.pem')];
  const values = { KAFKA_PORT: port, KAFKA_CONTROLLER_PORT: controllerPort, KAFKA_DATA_DIR: join(dir, 'storage'), MESSAGE_BYTES_MAX: messageBytesMax, REQUEST_BYTES_MAX: requestBytesMax };
  writeFileSync(config, fillTemplate(readFileSync(inProject('stack/kafka.properties'), 'utf8'), values));
  writeFileSync(keystore, server.key + server.cert);
  chmodSync(keystore, 0o600);
  appendFileSync(
    config,
    [
      `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort},SECRET://127.0.0.1:${secretPort}`,
      `advertised.listeners=PLAINTEXT://127.0.0.1:${port},SECRET://localhost:${secretPort}`,
      'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECRET:SASL_SSL',
      'ssl.keystore.type=PEM',
      `ssl.keystore.location=${keystore}`,
      'listener.name.secret.sasl.enabled.mechanisms=SCRAM-SHA-256,PLAIN',
      'listener.name.secret.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;',
      `listener.name.secret.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_${user.name}="plain-password";`,
      '',
    ].join('\n'),
  );
  const program = (mainClass: string, ...args: string[]) => jvmCommand({ mainClass, jars: tools.kafkaJars, args, heapMiBMax });
  const scram = `SCRAM-SHA-256=[name=${user.name},password=${user.password}]`;
  const format = program('kafka.tools.StorageTool', 'format', '-t', Buffer.from('sluice-test-tls!').toString('base64url'), '-c', config, '--add-scram', scram);
  await runCommand('Kafka storage format', format.file, format.args, { env: serverEnvironment(inheritedEnvironment()) });
  const { file, args, env } = program('kafka.Kafka', config);
  const broker = spawn(file, args, { env, stdio: 'ignore' });
  await until('Kafka listens', () => probePort(secretPort).then(() => true, () => false), 120_000);
  return {
    broker: `localhost:${secretPort}`,
    user,
    tools,
    stop: async () => {
      const gone = new Promise((resolve) => broker.once('exit', resolve));
      broker.kill('SIGTERM');
      await gone;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
