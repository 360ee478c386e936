/** `sluice doctor [--json]`: what is wrong with the servers in use, each finding with its fix. Exit code 3 when there is a problem. */
import type { Command } from 'commander';
import { servers } from '../access.ts';
import { loadSettings } from '../config.ts';
import type { Finding, Subject } from '../doctor/check.ts';
import { examineAll } from '../doctor/examine.ts';
import { projectRoot } from '../stack/project.ts';
import { printAndExit, unhealthyCode } from './status.ts';

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('Examine the servers in use; each finding comes with its fix')
    .option('--json', 'as one JSON object')
    .action(async ({ json }: { json?: true }) => {
      const findings = await examineAll(loadSettings(undefined, projectRoot));
      const healthy = findings.every(({ level }) => level !== 'problem');
      await printAndExit(json ? JSON.stringify({ healthy, findings }, null, 2) : `${describeFindings(findings)}\n\n${countLevels(findings)}`, healthy ? 0 : unhealthyCode);
    });
}

/** By server: one line a finding, its fix below. */
export function describeFindings(findings: Finding[]): string {
  const subjects = [...new Set(findings.map(({ subject }) => subject))];
  return subjects.map((subject) => [labelOf(subject), ...findings.filter((one) => one.subject === subject).map(describe)].join('\n')).join('\n');
}

function countLevels(findings: Finding[]): string {
  const count = (level: Finding['level']): number => findings.filter((one) => one.level === level).length;
  return `${count('problem')} problems, ${count('warning')} warnings, ${count('ok')} in order`;
}

const labelOf = (subject: Subject): string => (subject === 'machine' ? 'This machine' : servers[subject].label);

const describe = ({ level, check, says, fix }: Finding): string =>
  [`  ${level.padEnd(8)} ${check}: ${says}`, ...(fix?.split('\n') ?? []).map((line, i) => `           ${i === 0 ? 'fix: ' : '     '}${line}`)].join('\n');
