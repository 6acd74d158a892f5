// Networks of workloads. Owns what a network mode means for an isolation; never knows instances or drivers, and sets
// nothing up itself.
// Invariant: a workload reaches a network only because it was asked to: without a word it has its own loopback only.

import { BerthError, type InstanceSpec, type Isolation } from '../core/index.ts';

/** What a driver is to set up for a network mode. Fails with `unsupported` or `not-found`, naming the mode and what to do. */
export function resolveNetwork(mode: string, isolation: Isolation): InstanceSpec['network'] {
  if (mode === '' || mode === 'default' || mode === 'none') return 'private';
  if (mode === 'host') {
    if (isolation === 'container') return 'host';
    throw new BerthError(
      'unsupported',
      'a VM has a kernel and a network stack of its own and cannot share those of the host: use --network none or --isolation container',
    );
  }
  if (mode === 'bridge' || mode.startsWith('container:'))
    throw new BerthError(
      'unsupported',
      `network mode ${mode} is not available in this version: use --network none (loopback only) or, for a container, --network host`,
    );
  throw new BerthError('not-found', `network ${mode} not found`);
}
