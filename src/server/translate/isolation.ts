// Three ways of asking for an isolation, in order of precedence: HostConfig.Isolation, HostConfig.Runtime and the
// label `berth.isolation`, for clients that can set nothing else.

import { BerthError, ISOLATIONS, type Isolation } from '../../core/index.ts';
import type { CreateRequest } from '../../wire/index.ts';

export const ISOLATION_LABEL = 'berth.isolation';

/** Runtime names that clients and their documents use, and the isolation each stands for. */
export const RUNTIMES: Readonly<Record<string, Isolation>> = {
  berth: 'container',
  container: 'container',
  crun: 'container',
  runc: 'container',
  'io.containerd.runc.v2': 'container',
  vm: 'vm',
  'berth-vm': 'vm',
};

/** The runtime's name that `inspect` shows for an isolation. */
export const RUNTIME_OF: Readonly<Record<Isolation, string>> = { container: 'container', vm: 'vm' };

/** Fails with `invalid-argument` naming what is unknown or contradicts. */
export function chooseIsolation(request: CreateRequest): Isolation {
  const { Isolation: wished, Runtime: runtime } = request.HostConfig;
  const byOption = wished === '' || wished === 'default' ? undefined : parseIsolation(wished);
  const byRuntime = runtime === '' ? undefined : parseRuntime(runtime);
  if (byOption !== undefined && byRuntime !== undefined && byOption !== byRuntime)
    throw new BerthError(
      'invalid-argument',
      `isolation ${wished} and runtime ${runtime} contradict each other: give one of them`,
    );
  const label = request.Labels[ISOLATION_LABEL];
  return byOption ?? byRuntime ?? (label === undefined ? 'container' : parseIsolation(label));
}

function parseIsolation(text: string): Isolation {
  const found = ISOLATIONS.find((isolation) => isolation === text.toLowerCase());
  if (found !== undefined) return found;
  throw new BerthError('invalid-argument', `Invalid isolation: ${text}: use ${ISOLATIONS.join(' or ')}`);
}

function parseRuntime(name: string): Isolation {
  const isolation = Object.hasOwn(RUNTIMES, name) ? RUNTIMES[name] : undefined;
  if (isolation !== undefined) return isolation;
  throw new BerthError(
    'invalid-argument',
    `unknown or invalid runtime name: ${name}: use ${Object.keys(RUNTIMES).join(', ')}`,
  );
}
