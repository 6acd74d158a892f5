// The host's resolvers, as its own programs find them: /etc/resolv.conf.

import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';

/** A name server that is asked about names that are not ours. */
export interface Upstream {
  readonly address: string;
  readonly port: number;
}

const DNS_PORT = 53;
/** As many as the C library asks. */
const MAX_RESOLVERS = 3;
/** What the C library asks when none is named. */
const LOCAL_RESOLVER = '127.0.0.1';

/**
 * Tells the resolvers of the moment. Looks at the file's state at each call and reads it anew when that has changed, as
 * the C library does: a watch would lose a file that is replaced, a link that is turned or a mount. Resolvers on loopback
 * (systemd-resolved) are fine: we run on the host.
 */
export function hostResolvers(path = '/etc/resolv.conf'): () => readonly Upstream[] {
  let state = '';
  let upstreams = parseResolvConf('');
  return () => {
    const now = stateOf(path);
    if (now !== state) upstreams = parseResolvConf(read(path));
    state = now;
    return upstreams;
  };
}

function stateOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}

/** A file that is gone or unreadable says nothing: then, too, the local resolver is asked. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export function parseResolvConf(text: string): readonly Upstream[] {
  const named = [...text.matchAll(/^nameserver[ \t]+(\S+)/gm)].map((match) => match[1] ?? '').filter(isIP);
  const addresses = named.length === 0 ? [LOCAL_RESOLVER] : named.slice(0, MAX_RESOLVERS);
  return addresses.map(upstreamAt);
}

export function upstreamAt(address: string): Upstream {
  return { address, port: DNS_PORT };
}
