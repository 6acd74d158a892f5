// Runs the tests of Berth through node:test, kind after kind: files in pairs, as most of them wait most of the time, and those
// that measure one at a time, with one report and one summary for all. What makes bridges and rules does so
// in a network namespace that its file has for itself and that ends with it: this machine's own is never touched.
// Usage: node scripts/run-tests.ts [KIND or FILE]…   (no argument: every kind)

import { globSync } from 'node:fs';
import { run } from 'node:test';
import { spec as Spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

interface Phase {
  readonly files: readonly string[];
  readonly concurrency: number;
  readonly ownNetwork: boolean;
}

const KINDS: ReadonlyMap<string, { readonly pattern: string; readonly concurrency: number }> = new Map([
  ['unit', { pattern: 'src/**/*.test.ts', concurrency: 2 }],
  ['architecture', { pattern: 'test/architecture/*.test.ts', concurrency: 2 }],
  ['conformance', { pattern: 'test/conformance/**/*.test.ts', concurrency: 1 }],
  ['integration', { pattern: 'test/integration/**/*.test.ts', concurrency: 2 }],
  ['compat', { pattern: 'test/compat/**/*.test.ts', concurrency: 1 }],
]);
/** What measures time, processors or memory has the machine for itself. */
const ALONE =
  /\/(api-daemon|api-streams|compare|container-limits|firewall-base|images-store|metrics|setup|update-limits|vm-pool)\.test\.ts$/;
/** Folders whose tests need root and make networks … */
const OWN_NETWORK = /(^|\/)test\/(conformance|integration|compat)\//;
/** … and those of them that need the machine's. */
const MACHINE_NETWORK = /\/(images-debian)\.test\.ts$/;
/** As the test runner knows how to start node. */
const NODE = process.execPath;
const NODE_IN_OWN_NETWORK = fileURLToPath(new URL('own-network.sh', import.meta.url));
const WHOLE_OUTPUT = new URL('test-output.ts', import.meta.url).href;
const TEST_TIMEOUT_MS = 10 * 60_000;
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
  const own = files.filter((file) => OWN_NETWORK.test(file) && !MACHINE_NETWORK.test(file));
  const others = files.filter((file) => !own.includes(file));
  return [
    { files: own.filter((file) => !ALONE.test(file)), concurrency, ownNetwork: true },
    { files: own.filter((file) => ALONE.test(file)), concurrency: 1, ownNetwork: true },
    { files: others, concurrency, ownNetwork: false },
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

/** The events of all phases in order, but for each phase's own summary, which is added to the totals. */
async function* events(list: readonly Phase[]): AsyncGenerator {
  for (const phase of list) {
    // A test that fails may leave a socket or a child open: its file shall end all the same.
    const execArgv = ['--test-force-exit', '--import', WHOLE_OUTPUT];
    const { files, concurrency } = phase;
    // The runner has no option for it: it starts every file's process by this name.
    process.execPath = phase.ownNetwork ? NODE_IN_OWN_NETWORK : NODE;
    for await (const event of run({ files, concurrency, execArgv, timeout: TEST_TIMEOUT_MS })) {
      if (event.type === 'test:summary' && event.data.file === undefined) add(event.data);
      else if (!(event.type === 'test:diagnostic' && SUMMARY_LINE.test(event.data.message))) yield event;
    }
  }
}

function add(summary: { counts: Record<string, number>; duration_ms: number }): void {
  const { counts } = summary;
  totals.tests += counts['tests'] ?? 0;
  totals.suites += counts['suites'] ?? 0;
  totals.passed += counts['passed'] ?? 0;
  totals.failed += counts['failed'] ?? 0;
  totals.cancelled += counts['cancelled'] ?? 0;
  totals.skipped += counts['skipped'] ?? 0;
  totals.todo += counts['todo'] ?? 0;
  totals.durationMs += summary.duration_ms;
}

const list = phases(process.argv.slice(2));
const report = new Spec();
report.pipe(process.stdout, { end: false });
for await (const event of events(list))
  if (!report.write(event)) await new Promise((go) => report.once('drain', go));
await new Promise((done) => {
  report.once('end', done);
  report.end();
});
process.stdout.write(
  `# tests ${totals.tests}\n# suites ${totals.suites}\n# pass ${totals.passed}\n# fail ${totals.failed}\n` +
    `# cancelled ${totals.cancelled}\n# skipped ${totals.skipped}\n# todo ${totals.todo}\n` +
    `# duration_ms ${Math.round(totals.durationMs)}\n`,
);
process.exitCode = totals.tests === 0 || totals.failed + totals.cancelled > 0 ? 1 : 0;
