// What a machine is plugged into: told to its shim with each start, as a machine that waits for one is not told before.

import { open } from 'node:fs/promises';
import { BerthError, type InstanceSpec, type StartOptions } from '../../core/index.ts';
import { networkFields, resolvConf } from '../../guest/index.ts';
import { NICS } from '../../qemu/index.ts';
import { type FieldRecord, hostsFile } from './config.ts';

/** How many network interfaces a machine has on this host: none where no tap can be opened. */
export async function countNics(device: string): Promise<number> {
  const file = await open(device, 'r+').catch(() => undefined);
  await file?.close();
  return file === undefined ? 0 : NICS;
}

/** Fields of `start`. Fails with `unsupported` for what a VM cannot be plugged into. */
export function startFields(spec: InstanceSpec, { size, network }: StartOptions): FieldRecord {
  if (network?.joinPid !== undefined)
    throw new BerthError(
      'unsupported',
      'isolation vm: the network of a container cannot be shared with a VM',
    );
  if ((network?.endpoints.length ?? 0) > NICS)
    throw new BerthError(
      'unsupported',
      `isolation vm: a VM can be plugged into ${NICS} networks, not ${network?.endpoints.length}: leave some out`,
    );
  return {
    rows: size?.rows,
    columns: size?.columns,
    endpoint: networkFields(network).endpoint,
    hosts: network === undefined ? undefined : hostsFile(spec, network.hosts),
    'resolv.conf': network === undefined ? undefined : resolvConf(spec.dns, network),
  };
}
