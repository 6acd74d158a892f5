// What the host's own network looks like, asked when a network is made or raised.

import { run } from '../host/index.ts';
import { parseSubnet, type Subnet } from './address.ts';

interface Route {
  readonly dst: string;
  readonly dev?: string;
}

async function routes(family: '-4' | '-6', ...selector: string[]): Promise<readonly Route[]> {
  // Without IPv6 in the kernel there are no routes of it.
  const { stdout } = await run('ip', ['-json', family, 'route', 'show', ...selector]).catch(
    (error: unknown) => {
      if (family === '-6') return { stdout: '' };
      throw error;
    },
  );
  return stdout.trim() === '' ? [] : (JSON.parse(stdout) as Route[]);
}

/** Subnets that this host has routes to, all but the default one and those of `ours`, which are bridges. */
export async function routedSubnets(ours: ReadonlySet<string>): Promise<readonly Subnet[]> {
  const all = [...(await routes('-4')), ...(await routes('-6'))];
  return all.flatMap(({ dst, dev = '' }) => {
    if (dst === 'default' || ours.has(dev)) return [];
    return [parseSubnet(dst.includes('/') ? dst : `${dst}/${dst.includes(':') ? 128 : 32}`)];
  });
}

/** Largest packet of the interface that the default route goes through, in bytes; 1500 without one. */
export async function uplinkMtu(): Promise<number> {
  const [route] = await routes('-4', 'default');
  if (route?.dev === undefined) return 1500;
  const { stdout } = await run('ip', ['-json', 'link', 'show', 'dev', route.dev]);
  const [link] = JSON.parse(stdout) as { mtu: number }[];
  return link?.mtu ?? 1500;
}
