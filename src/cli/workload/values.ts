// Values of single flags that have a syntax of their own.

import { readFileSync } from 'node:fs';
import type { HostConfigRequest, RestartPolicyRequest, UlimitRequest } from '../../sdk/types.ts';
import { CliError } from '../errors.ts';

const ULIMITS = [
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
];

/** `nofile=1024` or `nofile=1024:2048`; -1 is unlimited. */
export function parseUlimit(text: string): UlimitRequest {
  const [, name = '', soft, hard] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text) ?? [];
  if (soft === undefined) throw bad('ulimit', text, 'expected NAME=SOFT[:HARD]');
  if (!ULIMITS.includes(name)) throw bad('ulimit', text, `unknown name; known are ${ULIMITS.join(', ')}`);
  const limit = { Name: name, Soft: Number(soft), Hard: Number(hard ?? soft) };
  if (limit.Hard !== -1 && (limit.Soft === -1 || limit.Soft > limit.Hard)) {
    throw bad('ulimit', text, 'the soft limit is above the hard one');
  }
  return limit;
}

/** `no`, `always`, `unless-stopped`, `on-failure[:N]`. */
export function parseRestart(text: string): RestartPolicyRequest {
  const [, name = '', count] = /^(no|always|unless-stopped|on-failure)(?::(\d+))?$/.exec(text) ?? [];
  if (name === '') throw bad('restart policy', text, 'no, always, unless-stopped or on-failure[:MAX]');
  if (count !== undefined && name !== 'on-failure') {
    throw bad('restart policy', text, 'only on-failure takes a maximum');
  }
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
}

/** `/dev/x[:/dev/y][:rwm]`. */
export function parseDevice(text: string): NonNullable<HostConfigRequest['Devices']>[number] {
  const [host = '', second, third, ...more] = text.split(':');
  const permissions = third ?? (second !== undefined && /^[rwm]+$/.test(second) ? second : 'rwm');
  const inside = second === undefined || second === permissions ? host : second;
  if (!host.startsWith('/') || !inside.startsWith('/') || !/^[rwm]+$/.test(permissions) || more.length > 0) {
    throw bad('device', text, 'expected HOST[:INSIDE][:PERMISSIONS] with permissions of r, w and m');
  }
  return { PathOnHost: host, PathInContainer: inside, CgroupPermissions: permissions };
}

/** A seccomp profile is read here, as the daemon cannot see the client's files. */
export function resolveSecurityOpt(text: string): string {
  const [, path] = /^seccomp[=:](.*)$/s.exec(text) ?? [];
  if (path === undefined || path === 'unconfined' || path === 'default' || path === 'builtin') return text;
  try {
    return `seccomp=${JSON.stringify(JSON.parse(readFileSync(path, 'utf8')))}`;
  } catch (cause) {
    throw bad('security option', text, `the profile cannot be read: ${(cause as Error).message}`);
  }
}

interface Ports {
  readonly exposed: Record<string, object>;
  readonly bindings: Record<string, { HostIp: string; HostPort: string }[]>;
}

/** `-p [[IP:]HOST:]INSIDE[/PROTOCOL]` items; ranges of equal length may stand for ports. */
export function parsePorts(items: readonly string[]): Ports {
  const ports: Ports = { exposed: {}, bindings: {} };
  for (const item of items) {
    const match = /^(?:(?:(\[[^\]]+\]|[\d.]+):)?([\d-]*):)?(\d+(?:-\d+)?)(?:\/(tcp|udp|sctp))?$/.exec(item);
    const [, ip = '', host = '', inside = '', protocol = 'tcp'] = match ?? [];
    const insidePorts = portRange(inside);
    // Zero is any free one.
    const range = host === '' || host === '0' ? insidePorts.map(() => '') : portRange(host);
    // One port in any of several of the host.
    const hostPorts = insidePorts.length === 1 && range.length > 1 ? [host] : range;
    if (match === null || insidePorts.length === 0 || insidePorts.length !== hostPorts.length) {
      throw bad('published port', item, 'expected [[IP:]HOST_PORT:]PORT[/PROTOCOL]');
    }
    for (const [i, port] of insidePorts.entries()) {
      const key = `${port}/${protocol}`;
      ports.exposed[key] = {};
      const list = ports.bindings[key] ?? [];
      ports.bindings[key] = [...list, { HostIp: ip.replace(/^\[|\]$/g, ''), HostPort: hostPorts[i] ?? '' }];
    }
  }
  return ports;
}

function portRange(text: string): string[] {
  const [first = Number.NaN, last = first] = text.split('-').map(Number);
  if (!(first >= 1 && last <= 65535 && first <= last)) return [];
  return Array.from({ length: last - first + 1 }, (_, i) => String(first + i));
}

function bad(what: string, text: string, why: string): CliError {
  return new CliError(`invalid ${what} ${JSON.stringify(text)}: ${why}`, 125);
}
