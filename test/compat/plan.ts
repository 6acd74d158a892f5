// Which scenario runs with which client in which isolation, and why one does not.

import { CLIENTS, type Client } from './docker.ts';
import type { Isolation, Scenario } from './scenario.ts';
import { eventScenarios, hostScenarios } from './scenarios/host.ts';
import { insideScenarios } from './scenarios/inside.ts';
import { lifeScenarios } from './scenarios/life.ts';
import { runScenarios } from './scenarios/run.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...runScenarios,
  ...lifeScenarios,
  ...insideScenarios,
  ...eventScenarios,
  ...hostScenarios,
];

export const ISOLATIONS: readonly Isolation[] = ['container', 'vm'];

/** The client that runs every scenario in VMs. */
const FULL_CLIENT = CLIENTS[0]?.name;

/** Why the scenario is not run there; undefined: it is. */
export function reasonNotRun(scenario: Scenario, client: Client, isolation: Isolation): string | undefined {
  const gap = scenario.absent?.[isolation];
  if (gap !== undefined) return `gap: ${gap}`;
  if (scenario.once && isolation === 'vm') return 'does not depend on the isolation';
  if (isolation === 'vm' && scenario.vmOneClient !== undefined && client.name !== FULL_CLIENT)
    return `${scenario.vmOneClient}: run with ${FULL_CLIENT} only`;
  return undefined;
}
