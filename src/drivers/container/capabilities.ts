// Which capabilities a process gets. Pure.

import { BerthError, CAPABILITIES, DEFAULT_CAPABILITIES, type SecuritySpec } from '../../core/index.ts';

/** The set that a bounding mask (CapBnd of /proc/self/status) admits. */
export function parseCapabilityMask(hex: string): string[] {
  const mask = BigInt(`0x${hex}`);
  return CAPABILITIES.filter((_, number) => (mask >> BigInt(number)) & 1n);
}

/**
 * The capabilities of a workload, with the CAP_ prefix, in the kernel's order. What the host itself lacks
 * (`available`) cannot be given and is left out. Fails with `invalid-argument` for a name that does not exist.
 */
export function capabilitiesOf(security: SecuritySpec, available: readonly string[]): string[] {
  const known: ReadonlySet<string> = new Set([...CAPABILITIES, 'ALL']);
  for (const name of [...security.capAdd, ...security.capDrop])
    if (!known.has(name)) throw new BerthError('invalid-argument', `invalid capability: CAP_${name}`);
  const base = security.privileged || security.capAdd.includes('ALL') ? CAPABILITIES : DEFAULT_CAPABILITIES;
  const dropped = new Set(security.privileged ? [] : security.capDrop);
  const kept =
    dropped.has('ALL') && !security.capAdd.includes('ALL') ? [] : base.filter((name) => !dropped.has(name));
  const wanted: ReadonlySet<string> = new Set([...kept, ...security.capAdd]);
  return CAPABILITIES.filter((name) => wanted.has(name) && available.includes(name)).map(
    (name) => `CAP_${name}`,
  );
}
