// `berth port`: show published ports of a workload.

import { defineCommand } from '../command.ts';
import { CliError } from '../errors.ts';

export const command = defineCommand({
  usage: 'WORKLOAD [PORT[/PROTOCOL]]',
  summary: 'Show published ports of a workload',
  flags: {},
  args: { min: 1, max: 2 },
  examples: [['port web 80', 'where port 80 of web can be reached']],
  run: async (context, { args }) => {
    const [name = '', wanted] = args;
    const { NetworkSettings } = await (await context.client()).containers.inspect(name);
    const ports = Object.entries(NetworkSettings.Ports ?? {}).flatMap(([inside, hosts]) =>
      (hosts ?? []).map(({ HostIp, HostPort }) => ({ inside, host: `${HostIp}:${HostPort}` })),
    );
    if (wanted === undefined) {
      await context.out.write(ports.map(({ inside, host }) => `${inside} -> ${host}\n`).join(''));
      return 0;
    }
    const key = wanted.includes('/') ? wanted : `${wanted}/tcp`;
    const found = ports.filter(({ inside }) => inside === key);
    if (found.length === 0) throw new CliError(`No public port '${key}' published for ${name}`, 1);
    await context.out.write(found.map(({ host }) => `${host}\n`).join(''));
    return 0;
  },
});
