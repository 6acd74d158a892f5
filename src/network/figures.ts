// What ports of bridges carried, as the kernel counts it.

import { readFile } from 'node:fs/promises';
import type { NetworkFigures } from '../core/index.ts';

/**
 * By the port's name, as who is behind it sees it: what a port sent, it received. Source: Documentation/networking/statistics.rst,
 * /proc/net/dev.
 */
export async function portFigures(): Promise<ReadonlyMap<string, NetworkFigures>> {
  const text = await readFile('/proc/self/net/dev', 'utf8');
  const lines = text.split('\n').slice(2).filter(Boolean);
  return new Map(
    lines.map((line) => {
      const [name = '', counts = ''] = line.split(':');
      const number = counts.trim().split(/\s+/).map(Number);
      const [sentBytes = 0, sentPackets = 0] = number;
      const [receivedBytes = 0, receivedPackets = 0] = number.slice(8);
      return [name.trim(), { receivedBytes, receivedPackets, sentBytes, sentPackets }];
    }),
  );
}
