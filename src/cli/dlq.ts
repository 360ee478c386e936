/** `sluice dlq ls | show | replay | discard`: the letters that could not be applied. Contents are printed by `show` only. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { access } from '../access.ts';
import { createKafkaProducer } from '../adapters/kafka-producer.ts';
import { connectRedis } from '../adapters/redis.ts';
import { loadSettings, type Settings } from '../config.ts';
import { discardLetters } from '../dlq/discard.ts';
import { Ledger, type DeadLetter } from '../dlq/ledger.ts';
import { readLedger, readRecords, type LetterTopic } from '../dlq/read-letters.ts';
import { awaitJudged, replayLetters, type Author } from '../dlq/replay.ts';
import { selectLetters, type Selection } from '../dlq/select.ts';
import { PipelineError } from '../domain/errors.ts';
import { createKeys } from '../domain/keys.ts';
import { tables } from '../domain/tables/registry.ts';
import { deadLetterTopic, groups, tableTopic } from '../domain/topics.ts';
import { projectRoot } from '../stack/project.ts';
import { createFailpoint } from '../telemetry/failpoint.ts';
import { confirm } from './confirm.ts';
import { formatContent, formatLetters, toJson } from './dlq-report.ts';
import { parseMs } from './duration.ts';
import { createProgressLine } from './progress-line.ts';
import { userName } from './user-name.ts';

interface ListOptions extends Selection {
  all?: true;
  json?: true;
}

interface CloseOptions extends ListOptions {
  dryRun?: true;
  yes?: true;
  note?: string;
  wait: number;
}

export function registerDlq(program: Command): void {
  const dlq = program.command('dlq').description('Dead letters: records that could not be applied');
  withSelection(dlq.command('ls'))
    .description('List open letters, never their contents')
    .option('--all', 'also those that were replayed or discarded, with who and when')
    .option('--json', 'as one JSON object')
    .action(list);
  dlq
    .command('show')
    .description('Print one letter with its content (which may hold personal data)')
    .argument('<origin>', '<topic>-<partition>-<offset>, as ls prints it')
    .option('--json', 'as one JSON object')
    .action(show);
  withClosing(dlq.command('replay'), 'Write letters back to their topic and tell which came back')
    .addOption(new Option('--wait <seconds>', 'how long to wait for a consumer that does not move').default(30).argParser(parseSeconds))
    .action(replay);
  withClosing(dlq.command('discard'), 'Close letters without applying them; the rows keep their last good image').action(discard);
}

function withSelection(command: Command): Command {
  return command
    .addOption(new Option('--origin <origin...>', '<topic>-<partition>-<offset>, as ls prints it'))
    .option('--table <table>', 'of this table')
    .option('--key <id>', 'with this primary key')
    .option('--reason <reason>', 'rejected for this reason')
    .addOption(new Option('--since <time>', 'rejected at this ISO time or later').argParser(parseMs))
    .addOption(new Option('--until <time>', 'rejected before this ISO time').argParser(parseMs));
}

function withClosing(command: Command, description: string): Command {
  return withSelection(command)
    .description(description)
    .option('--all', 'every open letter')
    .option('--dry-run', 'only tell which')
    .option('--yes', 'do not ask')
    .option('--note <text>', 'kept with the letter')
    .option('--json', 'as one JSON object');
}

async function list({ all, json, ...selection }: ListOptions): Promise<void> {
  const settings = loadSettings(undefined, projectRoot);
  const ledger = new Ledger();
  for (const place of letterTopics(settings)) await readLedger(place, ledger);
  const found = selectLetters(ledger.letters(), selection, settings.TOPIC_PREFIX).filter(({ state }) => all || state === 'open');
  console.log(json ? JSON.stringify({ letters: found.map(toJson), unreadable: ledger.unreadable }, null, 2) : formatLetters(found, ledger.unreadable));
}

async function show(origin: string, { json }: { json?: true }): Promise<void> {
  for (const place of letterTopics(loadSettings(undefined, projectRoot))) {
    const ledger = new Ledger();
    await readLedger(place, ledger);
    const letter = ledger.get(origin);
    if (!letter) continue;
    await readRecords(place, [letter], async (found) => {
      for (const { record } of found) console.log(formatContent(letter, record, json === true));
    });
    process.stderr.write('The content above may hold personal data.\n');
    return;
  }
  throw new PipelineError('bad_argument', `No dead letter has the origin ${origin}: sluice dlq ls --all lists them`);
}

async function replay(options: CloseOptions, command: Command): Promise<void> {
  await close(options, command, 'Replay', async ({ deps, ledger, ends, chosen, author }) => {
    const line = createProgressLine();
    const replayed = await replayLetters(deps, chosen, author, (done) => line.show(done / chosen.length, `replayed ${done} of ${chosen.length}`));
    await awaitJudged(deps, replayed, options.wait * 1000, (left) => line.show(1 - left / replayed.length, `waiting for the consumer on ${left} partitions`));
    await readLedger(deps, ledger, ends);
    line.clear();
    const back = chosen.flatMap(({ name }) => ledger.get(name) ?? []).filter(({ state }) => state === 'open');
    const gone = chosen.length - back.length;
    if (options.json) console.log(JSON.stringify({ replayed: chosen.length, gone, cameBack: back.map(toJson) }, null, 2));
    else {
      console.log(`Replayed ${letters(chosen.length)}: ${gone} gone (applied, or the row had moved past), ${back.length} came back.`);
      if (back.length > 0) console.log(`\n${formatLetters(back, 0)}`);
    }
    if (back.length > 0) process.exitCode = 1;
  });
}

async function discard(options: CloseOptions, command: Command): Promise<void> {
  await close(options, command, 'Discard', async ({ deps, ledger, chosen, author }) => {
    const line = createProgressLine();
    await discardLetters(deps, chosen, ledger.letters(), author, (done) => line.show(done / chosen.length, `discarded ${done} of ${chosen.length}`));
    line.clear();
    if (options.json) console.log(JSON.stringify({ discarded: chosen.length }, null, 2));
    else {
      console.log(`Discarded ${letters(chosen.length)}. Their rows keep the last good image: sluice verify compares them again, and shows`);
      console.log('what differs until sluice resync <table>, or until the row changes.');
    }
  });
}

type Deps = ReturnType<typeof connect>;

interface Closing {
  deps: Deps;
  ledger: Ledger;
  /** Up to where the dead-letter topic was read. */
  ends: Map<number, bigint>;
  chosen: DeadLetter[];
  author: Author;
}

/** What replay and discard have in common: choose, ask, connect, do. Refuses a bulk that nobody confirmed. */
async function close(options: CloseOptions, command: Command, verb: string, run: (closing: Closing) => Promise<void>): Promise<void> {
  const { all, json, dryRun, yes, note = '', wait: _, ...selection } = options;
  if (!all && Object.keys(selection).length === 0) command.error(`Say which letters: --origin, --table, --key, --reason, --since, --until, or --all`);
  const settings = loadSettings(undefined, projectRoot);
  const ledger = new Ledger();
  const ends = await readLedger(letterTopic(settings), ledger);
  const chosen = selectLetters(ledger.letters(), selection, settings.TOPIC_PREFIX).filter(({ state }) => state === 'open');
  if (dryRun || chosen.length === 0) {
    const text = chosen.length === 0 ? 'No open dead letter is chosen.' : `${formatLetters(chosen, 0)}\n${verb} would close these. Nothing was changed.`;
    console.log(json ? JSON.stringify({ dryRun: dryRun === true, letters: chosen.map(toJson) }, null, 2) : text);
    return;
  }
  if (!yes && (selection.origin === undefined || chosen.length > 1)) {
    if (!process.stdin.isTTY) command.error(`${verb} of ${letters(chosen.length)}: say --yes (or look first with --dry-run)`);
    if (!(await confirm(`${verb} ${letters(chosen.length)}?`))) {
      console.log('Nothing was changed.');
      return;
    }
  }
  const deps = connect(settings);
  try {
    await run({ deps, ledger, ends, chosen, author: { by: userName(), note } });
  } finally {
    await Promise.allSettled([deps.producer.close(), deps.redis.close()]);
  }
}

/** Those of changes; only they can be replayed. */
const letterTopic = (settings: Settings, group: string = groups.cdc): LetterTopic => ({ kafka: { ...access.kafka(settings), clientId: 'sluice-dlq' }, topic: deadLetterTopic(group) });
/** And those of alerts. */
const letterTopics = (settings: Settings): LetterTopic[] => [letterTopic(settings), letterTopic(settings, groups.alerts)];

function connect(settings: Settings) {
  const place = letterTopic(settings);
  const byTopic = new Map(tables.map(({ name }) => [tableTopic(settings.TOPIC_PREFIX, name), name]));
  return {
    ...place,
    producer: createKafkaProducer(place.kafka),
    redis: connectRedis({ ...access.replica(settings), name: 'sluice-dlq', failFast: true }),
    keys: createKeys(settings.REDIS_KEY_PREFIX),
    failpoint: createFailpoint(settings.SLUICE_FAILPOINT_DIR),
    tableOf: (topic: string): string | null => byTopic.get(topic) ?? null,
  };
}

const letters = (count: number): string => `${count} dead letter${count === 1 ? '' : 's'}`;

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0)) throw new InvalidArgumentError('Give a number of seconds.');
  return seconds;
}
