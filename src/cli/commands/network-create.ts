// `berth network create`: create a network.

import { defineCommand } from '../command.ts';
import { CliError } from '../errors.ts';
import { keyValues } from '../workload/env.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NETWORK',
  summary: 'Create a network',
  flags: {
    driver: { kind: 'string', short: 'd', help: 'bridge' },
    gateway: { kind: 'list', help: 'Address of the host on the network, one for each subnet' },
    internal: { kind: 'bool', help: 'No way in or out but to its own members' },
    'ip-range': { kind: 'list', help: 'Give addresses out of this part of the subnet only' },
    ipv6: { kind: 'bool', help: 'With an IPv6 subnet too' },
    label: { kind: 'list', help: 'Set a label: KEY=VALUE' },
    opt: { kind: 'list', short: 'o', help: 'Option of the driver: com.docker.network.driver.mtu=9000' },
    subnet: {
      kind: 'list',
      help: 'Subnet, one for each family: 10.1.0.0/24, fd00:1::/64 (default: a free one)',
    },
  },
  args: { min: 1, max: 1 },
  examples: [
    ['network create web', 'with a free subnet'],
    ['network create --subnet 10.1.0.0/24 --gateway 10.1.0.254 web', 'with one of your own'],
    ['network create --internal backend', 'whose members reach nothing but each other'],
  ],
  run: async (context, { flags, args }) => {
    const { networks } = await context.client();
    const count = Math.max(flags.subnet.length, flags.gateway.length, flags['ip-range'].length);
    const Config = Array.from({ length: count }, (_, index) => subnetConfig(flags, index));
    const id = await networks.create({
      Name: args[0] ?? '',
      Driver: flags.driver ?? 'bridge',
      Internal: flags.internal,
      EnableIPv6: flags.ipv6,
      IPAM: { Config },
      Options: keyValues(flags.opt, undefined, 'option'),
      Labels: keyValues(flags.label, ''),
    });
    await context.out.line(id);
    return 0;
  },
});

interface SubnetFlags {
  readonly subnet: readonly string[];
  readonly gateway: readonly string[];
  readonly 'ip-range': readonly string[];
}

/** A gateway and a range belong to the subnet of their family; with one subnet there is no doubt. */
function subnetConfig(flags: SubnetFlags, index: number) {
  const Subnet = flags.subnet[index];
  if (Subnet === undefined)
    throw new CliError('every --gateway and --ip-range needs a --subnet that it is within', 125);
  const isSix = Subnet.includes(':');
  const own = (list: readonly string[]) => list.find((text) => text.includes(':') === isSix);
  const [Gateway, IPRange] = [own(flags.gateway), own(flags['ip-range'])];
  return {
    Subnet,
    ...(Gateway === undefined ? {} : { Gateway }),
    ...(IPRange === undefined ? {} : { IPRange }),
  };
}
