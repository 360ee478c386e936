/**
 * Reads what each server in use says about itself and has it judged. One server that does not answer is one finding, and takes
 * nothing from what is said about the others. Nothing is changed anywhere.
 */
import { isGiven, serverNames, servers, urlsOf, type ServerName } from '../access.ts';
import { ConfigError, type Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { problem, type Finding, type Moment, type Subject } from './check.ts';
import { examineConnect } from './examine-connect.ts';
import { examineKafka } from './examine-kafka.ts';
import { examineMachine } from './examine-machine.ts';
import { examinePostgres } from './examine-postgres.ts';
import { examineRedis } from './examine-redis.ts';
import { examineTemporal } from './examine-temporal.ts';

const examinations: Record<ServerName, (settings: Settings, moment: Moment) => Promise<Finding[]>> = {
  postgres: examinePostgres,
  redis: examineRedis,
  kafka: examineKafka,
  connect: examineConnect,
  temporal: examineTemporal,
};

/** How long one server may take to answer everything. */
const budgetMs = 15_000;

/** All servers of the pipeline and this machine. */
export async function examineAll(settings: Settings): Promise<Finding[]> {
  return examine(settings, serverNames, 'now');
}

/** What a start depends on: this machine, and the servers that are there already. */
export async function examineBeforeStart(settings: Settings): Promise<Finding[]> {
  return examine(settings, serverNames.filter((server) => isGiven(settings, server)), 'before');
}

async function examine(settings: Settings, names: ServerName[], moment: Moment): Promise<Finding[]> {
  const findings = await Promise.all([examineMachine(settings), ...names.map((server) => orUnreachable(settings, server, examinations[server](settings, moment)))]);
  return findings.flat();
}

async function orUnreachable(settings: Settings, server: ServerName, examination: Promise<Finding[]>): Promise<Finding[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${budgetMs / 1000} s`)), budgetMs);
  });
  try {
    return await Promise.race([examination, late]);
  } catch (error) {
    const { label, address } = servers[server];
    const says = error instanceof Error ? error.message : String(error);
    if (error instanceof ConfigError) return [finding(server, says, 'Set it in the environment or in .env; a stack that was started once has it in secrets.env.')];
    if (error instanceof PipelineError && error.action !== 'retry') return [finding(server, says, `See that ${label} gives our user what it needs.`)];
    const where = urlsOf(settings)[server];
    return [finding(server, says, isGiven(settings, server) ? `See that ${label} runs at ${where} and may be reached from here, or change ${address}.` : 'Start the stack: npx sluice up. If it is up: npx sluice status')];
  } finally {
    clearTimeout(timer);
  }
}

const finding = (subject: Subject, says: string, fix: string): Finding => ({ subject, check: 'reachable', ...problem(says, fix) });
