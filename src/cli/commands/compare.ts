import { writeFile } from 'node:fs/promises';
import type { BerthClient } from '../../sdk/client.ts';
import {
  COMPARE_ISOLATIONS,
  type CompareIsolation,
  type CompareProgress,
  type CompareReport,
  type CompareRequest,
  compareRequestProblem,
} from '../../wire/compare.ts';
import { type Context, defineCommand } from '../command.ts';
import { ProgressBar } from '../compare-progress.ts';
import { renderReport } from '../compare-table.ts';
import { CliError, UsageError } from '../errors.ts';
import { type FlagSpecs, type FlagValues, parseFlags } from '../flags.ts';

const MIN_COLUMNS = 100;
const MAX_COLUMNS = 140;

const FLAGS = {
  runs: { kind: 'int', value: 'N', help: 'Runs per isolation (default: 10 containers, 5 VMs)' },
  isolation: {
    kind: 'list',
    value: 'container|vm',
    help: 'Only this isolation (default: all that work here)',
  },
  format: { kind: 'string', value: 'table|json', help: 'How to print the report' },
  html: { kind: 'string', value: 'FILE', help: 'Also write the report as one self-contained page' },
  quiet: { kind: 'bool', short: 'q', help: 'Do not show progress' },
} as const satisfies FlagSpecs;

type Flags = FlagValues<typeof FLAGS>;

export const command = defineCommand({
  usage: '[OPTIONS] [IMAGE [COMMAND...]]',
  summary: 'Run an image as a container and as a virtual machine and measure the difference',
  details:
    'Runs the workload in each isolation by turns and shows how fast it deploys, what it holds, how fast it works ' +
    'inside, what it can see and reach, and what that means on this host. Without an image it takes busybox. ' +
    'Nothing is guessed: what was not measured says "unknown".',
  flags: FLAGS,
  args: { min: 0 },
  interspersed: false,
  examples: [
    ['compare', 'busybox, in about a minute'],
    ['compare debian --html report.html', 'with a page to show around'],
    ['compare --runs 20 mine /app --self-test', 'an own image and command, more runs'],
    ['compare --format json', 'for programs'],
  ],
  run: async (context, call) => {
    const { flags, image, words } = readArguments(call.flags, call.args);
    const request = makeRequest(flags, image, words);
    // Found out before a minute of measuring, not after it.
    if (flags.html !== undefined) await writePage(flags.html, '');
    const report = await follow(context, await context.client(), request, flags.quiet);
    if (flags.html !== undefined) await writePage(flags.html, report.html ?? '');
    await print(context, report, flags);
    return 0;
  },
});

/** Our flags may stand before the image or directly after it; what follows belongs to the command. */
function readArguments(before: Flags, args: readonly string[]) {
  const [image, ...rest] = args;
  if (image === undefined) return { flags: before, image, words: [] };
  const after = parseFlags(FLAGS, rest, { interspersed: false });
  const given = Object.fromEntries(Object.entries(after.flags).filter(([name]) => after.given.has(name)));
  return { flags: { ...before, ...given } satisfies Flags, image, words: after.args };
}

function makeRequest(flags: Flags, image: string | undefined, words: readonly string[]): CompareRequest {
  if (flags.format !== undefined && flags.format !== 'table' && flags.format !== 'json')
    throw new UsageError(`invalid argument "${flags.format}" for "--format" flag: table or json`);
  const isolations = flags.isolation.map((name): CompareIsolation => {
    const found = COMPARE_ISOLATIONS.find((known) => known === name);
    if (found === undefined)
      throw new UsageError(`invalid argument "${name}" for "--isolation" flag: container or vm`);
    return found;
  });
  const request = {
    ...(image === undefined ? {} : { image }),
    ...(words.length === 0 ? {} : { command: words }),
    ...(flags.runs === undefined ? {} : { runs: flags.runs }),
    ...(isolations.length === 0 ? {} : { isolations }),
    ...(flags.html === undefined ? {} : { html: true }),
  };
  const problem = compareRequestProblem(request);
  if (problem !== undefined) throw new UsageError(problem);
  return request;
}

async function follow(
  context: Context,
  client: BerthClient,
  request: CompareRequest,
  quiet: boolean,
): Promise<CompareReport> {
  const bar = new ProgressBar(context.err);
  try {
    for await (const message of client.compare<CompareProgress, CompareReport>(request)) {
      if (message.report !== undefined) return message.report;
      if (message.progress !== undefined && !quiet) await bar.show(message.progress);
    }
  } finally {
    if (!quiet) await bar.clear();
  }
  throw new CliError('the daemon ended the comparison without a report');
}

async function writePage(path: string, page: string): Promise<void> {
  try {
    await writeFile(path, page);
  } catch (cause) {
    throw new CliError(`cannot write ${path}: ${(cause as Error).message}`, 1, { cause });
  }
}

async function print(context: Context, report: CompareReport, flags: Flags): Promise<void> {
  const { html: _page, ...data } = report;
  if (flags.format === 'json') return context.out.line(JSON.stringify(data, null, 2));
  const { isTerminal, columns } = context.out;
  const width = Math.min(MAX_COLUMNS, Math.max(MIN_COLUMNS, columns));
  const colour = isTerminal && context.env['NO_COLOR'] === undefined;
  await context.out.write(renderReport(report, { columns: width, colour }));
  if (flags.html !== undefined) await context.out.line(`\nThe page is in ${flags.html}`);
}
