// The Instance contract (src/core/driver.ts) as tests that every isolation runs. A gap is declared by the fixture.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Driver } from '../../src/core/index.ts';
import { removeCgroup } from '../../src/host/index.ts';
import { makeBusyboxLayer } from '../fixtures/busybox-layer.ts';
import { testCgroup } from '../fixtures/control-group.ts';
import { adoptionCases } from './adoption-cases.ts';
import { execCases } from './exec-cases.ts';
import { fileCases } from './file-cases.ts';
import { type DriverFixture, Workbench } from './fixture.ts';
import { lifeCases } from './life-cases.ts';
import { limitCases } from './limit-cases.ts';
import { networkCases } from './network-cases.ts';
import { resourceCases } from './resource-cases.ts';
import { stdioCases } from './stdio-cases.ts';

/** What a test works with. */
export interface Scene {
  readonly bench: Workbench;
  readonly driver: Driver;
  readonly fixture: DriverFixture;
}

export type Case = readonly [title: string, run: (scene: Scene) => Promise<void>];

const GROUPS: Readonly<Record<string, readonly Case[]>> = {
  life: lifeCases,
  stdio: stdioCases,
  exec: execCases,
  files: fileCases,
  resources: resourceCases,
  limits: limitCases,
  network: networkCases,
  adoption: adoptionCases,
};

/** Registers the whole suite for one isolation. Two groups at a time: most cases wait most of the time. */
export function instanceSuite(fixture: DriverFixture): void {
  describe(`an instance (${fixture.name})`, { timeout: fixture.timeoutMs * 100, concurrency: 2 }, () => {
    let driver: Driver;
    let layers: readonly string[] = [];
    let root = '';
    const cgroup = testCgroup();

    before(async () => {
      root = await mkdtemp(join(tmpdir(), 'berth-cf-'));
      const layer = join(root, 'layer');
      await makeBusyboxLayer(layer);
      layers = [layer];
      driver = await fixture.makeDriver(root);
      await driver.probe();
    });
    after(async () => {
      await driver.close?.();
      await removeCgroup(cgroup);
      await rm(root, { recursive: true, force: true });
    });

    for (const [group, cases] of Object.entries(GROUPS))
      describe(group, { concurrency: 1 }, () => {
        for (const [title, run] of cases) {
          const gap = fixture.gaps[title];
          it(title, { timeout: fixture.timeoutMs, ...(gap === undefined ? {} : { skip: gap }) }, async () => {
            await using bench = new Workbench(root, layers, cgroup);
            await run({ bench, driver, fixture });
          });
        }
      });
  });
}
