// Where the server listens: a unix socket, a loopback port, or a socket that systemd opened.

import { once } from 'node:events';
import { chmod, chown, lstat, mkdir, readFile, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createConnection } from 'node:net';
import { dirname } from 'node:path';
import { BerthError } from '../core/index.ts';

const GROUP = 'berth';
/** The first descriptor that systemd passes. */
export const SYSTEMD_FD = 3;

export type Host =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'systemd' };

/** Reads unix:///path, tcp://127.0.0.1:port or fd://. Fails with `invalid-argument`. */
export function parseHost(text: string): Host {
  if (text === 'fd://') return { kind: 'systemd' };
  const unix = /^unix:\/\/(\/.+)$/.exec(text);
  if (unix?.[1] !== undefined) return { kind: 'unix', path: unix[1] };
  const tcp = /^tcp:\/\/(localhost|127(?:\.\d{1,3}){3}|\[::1\]):(\d{1,5})$/.exec(text);
  if (tcp?.[1] !== undefined)
    return { kind: 'tcp', host: tcp[1].replace(/[[\]]/g, ''), port: Number(tcp[2]) };
  throw new BerthError(
    'invalid-argument',
    `cannot listen on ${text}: use unix:///path, or tcp:// with a loopback address and a port (whoever reaches the API is root)`,
  );
}

export interface Listening {
  /** As clients name it. */
  readonly address: string;
  /** Takes no more connections and ends the open ones; leaves no socket file behind. */
  close(): Promise<void>;
}

/** Fails with `conflict` when someone answers there already; a socket that nobody answers is replaced. */
export async function listen(server: Server, host: Host): Promise<Listening> {
  if (host.kind === 'unix') return await listenUnix(server, host.path);
  if (host.kind === 'systemd') {
    await started(server, () => server.listen({ fd: SYSTEMD_FD }));
    return { address: 'the socket passed by systemd', close: () => closeServer(server) };
  }
  await started(server, () => server.listen(host.port, host.host));
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : host.port;
  const name = host.host.includes(':') ? `[${host.host}]` : host.host;
  return { address: `tcp://${name}:${port}`, close: () => closeServer(server) };
}

async function listenUnix(server: Server, path: string): Promise<Listening> {
  await mkdir(dirname(path), { recursive: true });
  await removeStale(path);
  // The socket is made with the daemon's umask: only root may connect until the group is set.
  await started(server, () => server.listen(path));
  const group = await groupId(GROUP);
  if (group !== undefined) await chown(path, 0, group);
  await chmod(path, 0o660);
  const close = async () => {
    await closeServer(server);
    await rm(path, { force: true });
  };
  return { address: `unix://${path}`, close };
}

async function started(server: Server, begin: () => void): Promise<void> {
  const listening = once(server, 'listening');
  begin();
  try {
    await listening;
  } catch (cause) {
    throw new BerthError('conflict', `cannot listen: ${(cause as Error).message}`, { cause });
  }
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new BerthError('conflict', `${path} exists and is not a socket: remove it, or set BERTH_HOST`);
  if (await answers(path))
    throw new BerthError('conflict', `another daemon listens on ${path}: stop it, or set BERTH_HOST`);
  await rm(path, { force: true });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const settle = (isLive: boolean) => {
      socket.destroy();
      resolve(isLive);
    };
    socket.once('connect', () => settle(true)).once('error', () => settle(false));
  });
}

async function groupId(name: string): Promise<number | undefined> {
  const groups = await readFile('/etc/group', 'utf8').catch(() => '');
  const id = new RegExp(`^${name}:[^:]*:(\\d+):`, 'm').exec(groups)?.[1];
  return id === undefined ? undefined : Number(id);
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
