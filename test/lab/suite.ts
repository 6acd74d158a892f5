// Tests that are scenarios in a machine of the lab.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openImage } from './images.ts';
import { LabMachine } from './machine.ts';
import { CONTAINER_IMAGE, type ImageKind, RELEASES, type Release, WHOLE_IMAGE } from './releases.ts';
import { SCENARIOS } from './scenarios.ts';

export const release = (name: string): Release => {
  const found = RELEASES.find((candidate) => candidate.name === name);
  assert.ok(found, `the lab knows no release ${name}`);
  return found;
};

/** BERTH_LAB_ONLY: names of scenarios, all others are left out. */
export const only = process.env['BERTH_LAB_ONLY']?.split(',').filter((name) => name !== '') ?? [];

export interface LabSuite {
  readonly release: Release;
  readonly kind: ImageKind;
  readonly kvm: boolean;
  readonly memory: string;
  readonly scenarios: readonly string[];
}

export function labSuite({ release, kind, kvm, memory, scenarios }: LabSuite): void {
  const chosen = scenarios.filter((name) => only.length === 0 || only.includes(name));
  if (chosen.length === 0) return;
  describe(`${release.name} under systemd with cgroup version 2${kvm ? ' and KVM' : ''}`, () => {
    const made = new AsyncDisposableStack();
    let machine: LabMachine;
    before(async () => {
      const image = await openImage(release, kind);
      machine = made.use(
        await LabMachine.boot({ name: release.name, image, scenarios: chosen, memory, kvm }),
      );
    });
    after(() => made.disposeAsync());

    for (const name of chosen) {
      const scenario = SCENARIOS.find((candidate) => candidate.name === name);
      assert.ok(scenario, `there is no scenario ${name}`);
      test(`${name}: ${scenario.title}`, async (t) => {
        const { passed, failed, skipped, output } = await machine.outcome(name);
        t.diagnostic(`${passed} tests passed, ${skipped} skipped`);
        assert.ok(failed === 0 && passed > 0, output);
      });
    }
  });
}

/** The scenarios of a machine that can do all. */
export const WHOLE: readonly string[] = SCENARIOS.map(({ name }) => name);

export { CONTAINER_IMAGE, RELEASES, WHOLE_IMAGE };
