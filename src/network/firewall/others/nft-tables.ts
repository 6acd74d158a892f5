// Tables of nftables that are neither ours nor those of a firewall we know how to speak to.

import type { Nft } from '../../../host/index.ts';
import type { Finding } from './finding.ts';

export interface NftTable {
  readonly family: string;
  readonly name: string;
}

interface Chain extends NftTable {
  readonly table: string;
  readonly hook?: string;
  readonly policy?: string;
}

export async function readTables(nft: Nft): Promise<NftTable[]> {
  return (await nft.list('tables')).flatMap((item) => {
    const table = item['table'] as NftTable | undefined;
    return table === undefined ? [] : [table];
  });
}

/** Chains that drop what is forwarded unless they say otherwise: only their authors can let ours pass. */
export async function foreignFindings(nft: Nft, own: string): Promise<Finding[]> {
  const chains = (await nft.list('chains')).flatMap((item) => {
    const chain = item['chain'] as Chain | undefined;
    return chain === undefined ? [] : [chain];
  });
  return chains
    .filter(({ hook, policy }) => hook === 'forward' && policy === 'drop')
    .filter(({ family, table }) => ![own, 'firewalld'].includes(table) && !isOfIptables(family, table))
    .map(({ family, table, name }) => ({
      name: `nftables ${family} ${table}`,
      ok: false,
      detail: `its chain ${name} drops what is forwarded unless a rule accepts it`,
      remedy: `add to it: iifname "berth*" accept; oifname "berth*" accept`,
    }));
}

function isOfIptables(family: string, table: string): boolean {
  return table === 'filter' && (family === 'ip' || family === 'ip6');
}
