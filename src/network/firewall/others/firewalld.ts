// firewalld: our bridges join its zone `trusted`, as what they may do is decided by us; until its next reload only, so
// that nothing stays when we are gone.

import { errorMessage, isBerthError } from '../../../core/index.ts';
import { run } from '../../../host/index.ts';
import type { Finding } from './finding.ts';
import type { NftTable } from './nft-tables.ts';

/** Limit for firewall-cmd, which is slow to start, and slower on a host that is just booting. */
const TIMEOUT_MS = 60_000;
const ZONE = '--zone=trusted';

/** Its table. */
export const FIREWALLD = 'firewalld';

export function hasFirewalld(tables: readonly NftTable[]): boolean {
  return tables.some(({ name }) => name === FIREWALLD);
}

/** Waits for the end of what it is about; nothing when it has ended. */
export async function addToFirewalld(bridges: readonly string[]): Promise<void> {
  if (!(await isRunning())) return;
  const known = await trusted();
  for (const bridge of bridges)
    if (!known.includes(bridge)) await firewallCmd(ZONE, `--change-interface=${bridge}`);
}

export async function removeFromFirewalld(bridges: readonly string[]): Promise<void> {
  const known = await trusted();
  for (const bridge of bridges)
    if (known.includes(bridge)) await firewallCmd(ZONE, `--remove-interface=${bridge}`);
}

export async function firewalldFinding(bridges: readonly string[]): Promise<Finding> {
  const name = 'firewalld';
  try {
    const known = await trusted();
    const missing = bridges.filter((bridge) => !known.includes(bridge));
    if (missing.length === 0) return { name, ok: true, detail: 'our bridges are in its zone trusted' };
    return {
      name,
      ok: false,
      detail: `these bridges are not in its zone trusted: ${missing.join(', ')}`,
      remedy: 'restart the daemon, which adds them',
    };
  } catch (error) {
    return {
      name,
      ok: false,
      detail: errorMessage(error),
      remedy: 'see whether firewall-cmd --state answers',
    };
  }
}

async function isRunning(): Promise<boolean> {
  try {
    await firewallCmd('--state');
    return true;
  } catch (error) {
    if (isBerthError(error, 'not-found') || /not running/i.test(errorMessage(error))) return false;
    throw error;
  }
}

async function trusted(): Promise<string[]> {
  return (await firewallCmd(ZONE, '--list-interfaces')).split(/\s+/).filter((name) => name !== '');
}

async function firewallCmd(...args: readonly string[]): Promise<string> {
  return (await run('firewall-cmd', args, { timeoutMs: TIMEOUT_MS })).stdout;
}
