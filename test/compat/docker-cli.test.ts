// Docker's own clients against a Berth daemon, every scenario once per client and isolation. With
// BERTH_COMPAT_RESULTS=FILE it writes what came out, from which write-matrix.ts makes docs/compatibility.md.

import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ApiDaemon, startApiDaemon } from '../fixtures/api-daemon.ts';
import { CLIENTS } from './docker.ts';
import { openLab } from './lab.ts';
import type { MatrixEntry } from './matrix.ts';
import { ISOLATIONS, reasonNotRun, SCENARIOS } from './plan.ts';
import type { Context } from './scenario.ts';

const entries: MatrixEntry[] = [];
const daemons: ApiDaemon[] = [];

// Two daemons at a time: most scenarios wait most of the time.
describe('clients', { concurrency: 2 }, () => {
  after(async () => {
    // The daemons share a network namespace: each looks for left-overs when the workloads of all others are gone.
    await Promise.all(daemons.map((daemon) => daemon.clear()));
    for (const daemon of daemons) await daemon[Symbol.asyncDispose]();
  });

  for (const client of CLIENTS) {
    const missing = existsSync(client.path) ? undefined : `${client.path} is not installed`;
    for (const isolation of ISOLATIONS) {
      describe(`${client.name} with isolation ${isolation}`, {
        skip: missing ?? false,
        concurrency: 1,
      }, () => {
        let scratch = '';
        let lab: Context | undefined;

        before(async () => {
          scratch = await mkdtemp(join(tmpdir(), 'berth-compat-'));
          const daemon = await startApiDaemon();
          daemons.push(daemon);
          lab = await openLab(client, isolation, daemon.host, scratch);
        });
        after(async () => {
          await rm(scratch, { recursive: true, force: true });
        });

        for (const scenario of SCENARIOS) {
          const reason = reasonNotRun(scenario, client, isolation);
          const entry = { title: scenario.title, client: client.name, isolation };
          if (reason !== undefined) entries.push({ ...entry, outcome: 'not run', reason });
          else
            test(scenario.title, async () => {
              if (lab === undefined) throw new Error('there is no daemon to test');
              const index = entries.push({ ...entry, outcome: 'fails' }) - 1;
              await scenario.run(lab);
              entries[index] = { ...entry, outcome: 'works' };
            });
        }
      });
    }
  }
});

after(async () => {
  const path = process.env['BERTH_COMPAT_RESULTS'];
  if (path !== undefined) await writeFile(path, JSON.stringify(entries, null, 1));
});
