/** Command line of a Kafka JVM: small heap, serial collector, no listening besides what its configuration says. */
import { join } from 'node:path';
import { inheritedEnvironment } from '../config.ts';
import { inProject } from './project.ts';
import { serverEnvironment, type Command } from './server-spec.ts';

const flags = [
  ['-Xms64m', '-XX:+UseSerialGC', '-XX:MaxMetaspaceSize=192m', '-XX:+ExitOnOutOfMemoryError', '-Djava.awt.headless=true'],
  // The optimising compiler waits for code that is really hot (ten times the defaults): a third less CPU for a start.
  ['-XX:Tier4InvocationThreshold=50000', '-XX:Tier4MinInvocationThreshold=6000'],
  ['-XX:Tier4CompileThreshold=150000', '-XX:Tier4BackEdgeThreshold=400000'],
].flat();

export function javaProgram(): string {
  const javaHome = inheritedEnvironment()['JAVA_HOME'];
  return javaHome ? join(javaHome, 'bin/java') : 'java';
}

export interface JvmProgram {
  mainClass: string;
  jars: string[];
  args: string[];
  heapMiBMax: number;
  env?: Record<string, string>;
}

export function jvmCommand({ mainClass, jars, args, heapMiBMax, env = {} }: JvmProgram): Command {
  const inherited = inheritedEnvironment();
  return {
    file: javaProgram(),
    args: [...flags, `-Xmx${heapMiBMax}m`, `-Dlog4j2.configurationFile=${inProject('stack/log4j2.properties')}`, '-cp', jars.join(':'), mainClass, ...args],
    env: serverEnvironment(inherited, env),
  };
}
