// Runs scenarios in a machine of the lab, one after another, and prints a JSON line for all that they say.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Report } from '../machine.ts';
import { SCENARIOS } from '../scenarios.ts';

const names = /\blab\.run=(\S+)/.exec(readFileSync('/proc/cmdline', 'utf8'))?.[1]?.split(',') ?? [];

function report(entry: Report): void {
  process.stdout.write(`${JSON.stringify(entry)}\n`);
}

async function run(scenario: string, files: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, ['scripts/run-tests.ts', ...files], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const counts = new Map<string, number>();
  const hear = (line: string) => {
    const [, word, count] = /^# (pass|fail|cancelled|skipped) (\d+)$/.exec(line) ?? [];
    if (word !== undefined) counts.set(word, Number(count));
    else report({ scenario, line });
  };
  for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', hear);
  const code = await new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? 1)));
  const failed = (counts.get('fail') ?? 0) + (counts.get('cancelled') ?? 0);
  report({
    scenario,
    passed: counts.get('pass') ?? 0,
    failed: code === 0 ? failed : Math.max(1, failed),
    skipped: counts.get('skipped') ?? 0,
  });
}

for (const name of names) {
  const found = SCENARIOS.find((scenario) => scenario.name === name);
  if (found === undefined) report({ scenario: name, line: 'no such scenario', passed: 0, failed: 1 });
  else await run(name, found.files);
}
