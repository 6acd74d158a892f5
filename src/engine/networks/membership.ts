// A workload's networks over its runs: entered before its process starts, left when that has ended.

import {
  BerthError,
  type Endpoint,
  errorMessage,
  type PortRequest,
  type RunNetwork,
} from '../../core/index.ts';
import type { Member } from '../../network/index.ts';
import type { EngineContext } from '../context.ts';
import type { Workload } from '../workload.ts';
import { joinedReference } from './attachments.ts';

export function memberOf(workload: Workload): Member {
  const { id, record } = workload;
  const { name, config, endpoints, published, instance, spec } = record;
  return {
    ...{ id, name, hostname: instance.hostname, labels: config.labels, endpoints, published },
    ...(spec.rate === undefined ? {} : { rate: spec.rate }),
    ...(spec.policy === undefined ? {} : { policy: spec.policy }),
    ...(spec.dns.length === 0 ? {} : { dns: spec.dns }),
  };
}

/** What its instance is to be plugged into; undefined where that is nothing. On failure it is in no network. */
export async function enterNetworks(ctx: EngineContext, workload: Workload): Promise<RunNetwork | undefined> {
  const joined = joinedReference(workload.record.spec.networkMode);
  if (joined !== undefined) return joinNetwork(ctx, workload, joined);
  if (workload.record.endpoints.length === 0) return undefined;
  await workload.left;
  await publishPorts(ctx, workload);
  return await ctx.networking.enter(memberOf(workload));
}

function joinNetwork(ctx: EngineContext, workload: Workload, reference: string): RunNetwork {
  const target = ctx.registry.find(reference);
  if (!target.running)
    throw new BerthError(
      'conflict',
      `cannot join network of a non running container: ${target.name} (for ${workload.name})`,
    );
  return { endpoints: [], nameservers: [], searches: [], hosts: [], joinPid: target.pid };
}

/** In the background; `workload.left` resolves when it is done. */
export function leaveNetworks(ctx: EngineContext, workload: Workload): void {
  if (workload.record.endpoints.length === 0) return;
  const member = memberOf(workload);
  const orphaned = workload.exit?.reason === 'supervisor-died';
  const leave = async () => {
    if (orphaned) await ctx.networking.sweep(member.endpoints);
    await ctx.networking.leave(member);
  };
  workload.left = leave().catch((error: unknown) => {
    ctx.log(`container ${workload.name}: rules of its networks are left over: ${errorMessage(error)}`);
  });
}

async function publishPorts(ctx: EngineContext, workload: Workload): Promise<void> {
  const { spec, config, published, endpoints } = workload.record;
  const [main] = endpoints;
  const exposed = spec.publishAllPorts ? config.exposedPorts.flatMap(toRequest) : [];
  const known = new Set(spec.ports.map(({ port, protocol }) => `${port}/${protocol}`));
  const more = exposed.filter(({ port, protocol }) => !known.has(`${port}/${protocol}`));
  const addresses = publishAddresses(ctx).filter(
    (address) => !address.includes(':') || main?.ipv6 !== undefined,
  );
  const requests = [...spec.ports, ...more].flatMap((request) => atAddresses(request, addresses));
  const unreachable = requests.find(
    ({ hostAddress }) => hostAddress.includes(':') && main?.ipv6 === undefined,
  );
  if (unreachable !== undefined)
    throw new BerthError(
      'conflict',
      `port ${unreachable.port} cannot be published on ${unreachable.hostAddress}: network ${main?.networkName} has no IPv6 (berth network create --ipv6)`,
    );
  if (requests.length === 0) return;
  const now = await ctx.networking.publish(workload, requests, published);
  // On disk before anyone is let in: a daemon that takes over must know which ports are held.
  if (JSON.stringify(now) !== JSON.stringify(published)) await workload.update({ published: now });
}

/** Of the host, for ports that name none. */
function publishAddresses(ctx: EngineContext): readonly string[] {
  return ctx.config()['network.publish-everywhere'] === 1 ? ['0.0.0.0', '::'] : ['127.0.0.1'];
}

function atAddresses(request: PortRequest, addresses: readonly string[]): PortRequest[] {
  if (request.hostAddress !== '') return [request];
  return addresses.map((hostAddress) => ({ ...request, hostAddress }));
}

/** 80/tcp, 53/udp, 8000-8010/tcp. */
function toRequest(exposed: string): PortRequest[] {
  const [, first = '', last = first, protocol = 'tcp'] =
    /^(\d+)(?:-(\d+))?(?:\/(tcp|udp))?$/.exec(exposed) ?? [];
  if (first === '') return [];
  const count = Number(last) - Number(first) + 1;
  return Array.from({ length: Math.max(0, count) }, (_, index) => ({
    port: Number(first) + index,
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
    hostAddress: '',
  }));
}

/**
 * After a daemon's start, before its workloads are taken over: what may run is in its networks, whatever else was left of
 * earlier runs is not. Addresses and ports are held when this returns; the host is put right beside, as rules and bridges
 * of the last daemon are in force meanwhile.
 */
export function restoreNetworks(
  ctx: EngineContext,
  found: readonly { readonly workload: Workload; readonly lives: boolean }[],
): void {
  const joined = found.filter(({ workload }) => workload.record.endpoints.length > 0);
  const ended = joined.filter(({ lives }) => !lives).flatMap(({ workload }) => workload.record.endpoints);
  const running = joined.filter(({ lives }) => lives).map(({ workload }) => memberOf(workload));
  const restored = ctx.networking.restore(running, ended);
  ctx.background('networks are not as they should be', () => restored);
}

/** Plugs a running workload in where that was under way when the last daemon died. */
export async function plugMissing(ctx: EngineContext, workload: Workload): Promise<void> {
  const missing = ctx.networking.unplugged(workload.record.endpoints);
  if (missing.length === 0) return;
  const specs = await ctx.networking.changed(memberOf(workload));
  for (const spec of specs.filter(({ name }) =>
    missing.some((endpoint: Endpoint) => endpoint.interface === name),
  ))
    await workload.instance?.networking?.plug(spec);
}
