// Which networks exist without anyone making them, and what others may be called.

import { createHash } from 'node:crypto';
import { BerthError, type Network } from '../core/index.ts';

/** What a workload is on that asks for nothing. */
export const DEFAULT_NETWORK = 'bridge';

/** Their ids are those of their names, so that they never change. */
function builtIn(name: 'host' | 'none', driver: Network['driver']): Network {
  return {
    ...{ id: createHash('sha256').update(`berth network ${name}`).digest('hex'), name, driver },
    ...{
      createdAt: '1970-01-01T00:00:00Z',
      subnets: [],
      internal: false,
      labels: {},
      options: {},
      bridge: '',
    },
  };
}

export const BUILT_IN: readonly Network[] = [builtIn('host', 'host'), builtIn('none', 'null')];

/** It exists without anyone making it, and cannot be removed. */
export function isPredefined({ driver, name }: Network): boolean {
  return driver !== 'bridge' || name === DEFAULT_NETWORK;
}

const RESERVED = ['bridge', 'host', 'none', 'default', 'container'];

/** Fails with `invalid-argument` or `conflict`. */
export function checkName(name: string): void {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name))
    throw new BerthError(
      'invalid-argument',
      `invalid network name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  if (RESERVED.includes(name))
    throw new BerthError('conflict', `operation is not permitted on predefined ${name} network`);
}
