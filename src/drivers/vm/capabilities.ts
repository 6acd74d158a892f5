// The set of capabilities a workload starts with: Docker's defaults plus and minus what was asked.

import { BerthError, CAPABILITIES, DEFAULT_CAPABILITIES, type SecuritySpec } from '../../core/index.ts';

const NAMES: readonly string[] = CAPABILITIES;

function bit(name: string): bigint {
  const index = NAMES.indexOf(name);
  if (index < 0) throw new BerthError('invalid-argument', `unknown capability: CAP_${name}`);
  return 1n << BigInt(index);
}

function maskOf(names: readonly string[]): bigint {
  return names.reduce((mask, name) => mask | (name === 'ALL' ? maskOf(NAMES) : bit(name)), 0n);
}

/** The bounding set as a bit mask. Drops win over ALL added, additions over ALL dropped, as with Docker. */
export function capabilityMask(security: Pick<SecuritySpec, 'privileged' | 'capAdd' | 'capDrop'>): bigint {
  if (security.privileged) return maskOf(NAMES);
  const start = security.capAdd.includes('ALL') ? maskOf(NAMES) : maskOf(DEFAULT_CAPABILITIES);
  const base = security.capDrop.includes('ALL') ? 0n : start & ~maskOf(security.capDrop);
  return base | maskOf(security.capAdd.filter((name) => name !== 'ALL'));
}
