// Runs the tests of Berth through node:test, kind after kind: files in pairs, as most of them wait most of the time, and those
// that measure one at a time, with one report and one summary for all. A file that needs root runs in a place of its own
// (own-place.sh), whose processes, mounts and networks end with it: this machine's own are never touched.
// Usage: node scripts/run-tests.ts [KIND or FILE]…   (no argument: every kind)

import { globSync } from 'node:fs';
import { relative } from 'node:path';
import { run } from 'node:test';
import { spec as Spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

interface Phase {
  readonly files: readonly string[];
  readonly concurrency: number;
  readonly ownPlace: boolean;
}

const KINDS: ReadonlyMap<string, { readonly pattern: string; readonly concurrency: number }> = new Map([
  ['unit', { pattern: 'src/**/*.test.ts', concurrency: 2 }],
  ['architecture', { pattern: 'test/architecture/*.test.ts', concurrency: 2 }],
  ['conformance', { pattern: 'test/conformance/**/*.test.ts', concurrency: 1 }],
  ['integration', { pattern: 'test/integration/**/*.test.ts', concurrency: 2 }],
  ['compat', { pattern: 'test/compat/**/*.test.ts', concurrency: 1 }],
  ['lab', { pattern: 'test/lab/short.test.ts', concurrency: 1 }],
]);
/** What measures time, processors or memory has the machine for itself. */
const ALONE =
  /\/(api-daemon|api-streams|compare|container-limits|firewall-base|images-store|metrics|setup|update-limits|vm-pool)\.test\.ts$/;
/** The longest files begin first, so that none is left over at the end. */
const LONG = /\/(images-debian|vm-fork|vm-faults|networks|vm-checkpoint|vm-life|vm-files)\.test\.ts$/;
/** Folders whose tests need root and make networks. */
const AS_ROOT = /(^|\/)test\/(conformance|integration|compat)\//;
/** As the test runner knows how to start node. */
const NODE = process.execPath;
const NODE_IN_OWN_PLACE = fileURLToPath(new URL('own-place.sh', import.meta.url));
/** Compiled sources, kept by their content: every file of tests and every daemon else compiles them again. */
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('../build/code-cache', import.meta.url));
const WHOLE_OUTPUT = new URL('test-output.ts', import.meta.url).href;
/** Limit for a test file. BERTH_TEST_MINUTES sets another, for an emulated machine. */
const TEST_TIMEOUT_MS = Number(process.env['BERTH_TEST_MINUTES'] ?? 10) * 60_000;
/** The whole run may take this long, also on a machine with other work. */
const TOTAL_TIMEOUT_MS = 60 * 60_000;
const SLOWEST_SHOWN = 15;
const SUMMARY_LINE = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

function phases(words: readonly string[]): Phase[] {
  const files = words.filter((word) => !KINDS.has(word));
  const kinds = words.length === 0 ? [...KINDS.keys()] : words.filter((word) => KINDS.has(word));
  const list = kinds.flatMap((name) => {
    const kind = KINDS.get(name);
    return kind === undefined ? [] : parted(globSync(kind.pattern).sort(), kind.concurrency);
  });
  return [...list, ...parted(files, 1)].filter((phase) => phase.files.length > 0);
}

function parted(files: readonly string[], concurrency: number): Phase[] {
  const root = files.filter((file) => AS_ROOT.test(file));
  const inPairs = root.filter((file) => !ALONE.test(file));
  const byLength = [
    ...inPairs.filter((file) => LONG.test(file)),
    ...inPairs.filter((file) => !LONG.test(file)),
  ];
  return [
    { files: byLength, concurrency, ownPlace: true },
    { files: root.filter((file) => ALONE.test(file)), concurrency: 1, ownPlace: true },
    { files: files.filter((file) => !AS_ROOT.test(file)), concurrency, ownPlace: false },
  ];
}

const totals = {
  tests: 0,
  suites: 0,
  passed: 0,
  failed: 0,
  cancelled: 0,
  skipped: 0,
  todo: 0,
  durationMs: 0,
};

const fileTimes: { file: string; ms: number }[] = [];

/** The events of all phases in order, but for each phase's own summary, which is added to the totals. */
async function* events(list: readonly Phase[], signal: AbortSignal): AsyncGenerator {
  for (const { files, concurrency, ownPlace } of list) {
    // A test that fails may leave a socket or a child open: its file shall end all the same.
    const execArgv = ['--test-force-exit', '--import', WHOLE_OUTPUT];
    // The runner has no option for it: it starts every file's process by this name.
    process.execPath = ownPlace ? NODE_IN_OWN_PLACE : NODE;
    for await (const event of run({
      files: [...files],
      concurrency,
      execArgv,
      timeout: TEST_TIMEOUT_MS,
      signal,
    })) {
      if (event.type === 'test:summary') add(event.data);
      else if (!(event.type === 'test:diagnostic' && SUMMARY_LINE.test(event.data.message))) yield event;
    }
  }
}

function add(summary: {
  file: string | undefined;
  counts: Record<string, number>;
  duration_ms: number;
}): void {
  const { file, counts } = summary;
  if (file !== undefined) {
    fileTimes.push({ file: relative(process.cwd(), file), ms: summary.duration_ms });
    return;
  }
  totals.tests += counts['tests'] ?? 0;
  totals.suites += counts['suites'] ?? 0;
  totals.passed += counts['passed'] ?? 0;
  totals.failed += counts['failed'] ?? 0;
  totals.cancelled += counts['cancelled'] ?? 0;
  totals.skipped += counts['skipped'] ?? 0;
  totals.todo += counts['todo'] ?? 0;
  totals.durationMs += summary.duration_ms;
}

function slowest(): string {
  const shown = fileTimes.sort((a, b) => b.ms - a.ms).slice(0, SLOWEST_SHOWN);
  return shown.map(({ file, ms }) => `# ${(ms / 1000).toFixed(1).padStart(6)} s ${file}\n`).join('');
}

const list = phases(process.argv.slice(2));
const limit = AbortSignal.timeout(TOTAL_TIMEOUT_MS);
const report = new Spec();
report.pipe(process.stdout, { end: false });
for await (const event of events(list, limit))
  if (!report.write(event)) await new Promise((go) => report.once('drain', go));
await new Promise((done) => {
  report.once('end', done);
  report.end();
});
process.stdout.write(`# the slowest files:\n${slowest()}`);
if (limit.aborted)
  process.stdout.write(`# the tests were ended: all took more than ${TOTAL_TIMEOUT_MS / 60_000} minutes\n`);
process.stdout.write(
  `# tests ${totals.tests}\n# suites ${totals.suites}\n# pass ${totals.passed}\n# fail ${totals.failed}\n` +
    `# cancelled ${totals.cancelled}\n# skipped ${totals.skipped}\n# todo ${totals.todo}\n` +
    `# duration_ms ${Math.round(totals.durationMs)}\n`,
);
process.exitCode = totals.tests === 0 || totals.failed + totals.cancelled > 0 || limit.aborted ? 1 : 0;
