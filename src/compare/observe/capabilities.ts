// Capabilities as the kernel prints them (capabilities(7)).

import { CAPABILITIES } from '../../core/index.ts';

/** Names in a mask as /proc/PID/status prints it, in hexadecimal; a bit without a name is its number. */
export function decodeCapabilities(mask: string): string[] {
  const bits = BigInt(`0x${mask.trim() || '0'}`);
  const names: string[] = [];
  for (let bit = 0; bits >> BigInt(bit) > 0n; bit++)
    if ((bits >> BigInt(bit)) & 1n) names.push(CAPABILITIES[bit] ?? String(bit));
  return names;
}
