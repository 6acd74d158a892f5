// Where a daemon listens, as BERTH_HOST says it.

import { BerthSdkError } from './errors.ts';

export const DEFAULT_HOST = 'unix:///run/berth/berth.sock';

export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** `unix:///path`, `/path` or `tcp://host:port`. */
export function parseAddress(text: string): Address {
  if (text.startsWith('unix://') || text.startsWith('/')) {
    const path = text.replace(/^unix:\/\//, '');
    if (path.startsWith('/')) return { kind: 'unix', path };
  }
  const tcp = /^tcp:\/\/(\[[0-9a-fA-F:]+\]|[^:/]+):(\d{1,5})\/?$/.exec(text);
  const [, host, port] = tcp ?? [];
  if (host !== undefined && Number(port) > 0 && Number(port) < 65536) {
    return { kind: 'tcp', host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
  }
  throw new BerthSdkError(
    'invalid-argument',
    `invalid host ${JSON.stringify(text)}: give unix:///absolute/path or tcp://host:port`,
  );
}

/** The address in the form users write it. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix://${address.path}`;
  return `tcp://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}
