// `berth info`: show the daemon, its host and what each isolation can do.

import type { Finding, ProbesAnswer } from '../../sdk/types.ts';
import { defineCommand } from '../command.ts';
import { renderOne } from '../format/list.ts';
import { binarySize } from '../format/units.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Show the daemon, its host and what each isolation can do',
  flags: { format: { kind: 'string', short: 'f', help: "json, or a template: '{{.ServerVersion}}'" } },
  args: { min: 0, max: 0 },
  examples: [['info', 'also says what keeps virtual machines from being quick, and the remedy']],
  run: async (context, { flags }) => {
    const { system } = await context.client();
    const [info, probes, networks] = await Promise.all([
      system.info(),
      system.probes(),
      system.networkFindings(),
    ]);
    const all = { ...info, Isolations: probes, Networks: networks };
    await context.out.line(
      flags.format === undefined ? text(info, probes, networks) : renderOne(all, flags.format),
    );
    return 0;
  },
});

function text(
  info: Readonly<Record<string, unknown>>,
  probes: ProbesAnswer,
  networks: readonly Finding[],
): string {
  const lines = [
    `Server Version: ${info['ServerVersion']}`,
    `Workloads: ${info['Containers']}`,
    ` Running: ${info['ContainersRunning']}`,
    ` Paused: ${info['ContainersPaused']}`,
    ` Stopped: ${info['ContainersStopped']}`,
    `Images: ${info['Images']}`,
    `Root: ${info['DockerRootDir']}`,
    `Kernel: ${info['KernelVersion']}`,
    `Operating System: ${info['OperatingSystem']}`,
    `Architecture: ${info['Architecture']}`,
    `CPUs: ${info['NCPU']}`,
    `Memory: ${binarySize(Number(info['MemTotal'] ?? 0))}`,
    `Cgroup Driver: ${info['CgroupDriver']} (version ${info['CgroupVersion']})`,
    ...isolationLines(probes),
    ...(networks.length === 0 ? [] : ['Networks beside other firewalls:', ...networks.flatMap(findingLines)]),
  ];
  return lines.filter((line) => !line.endsWith(' undefined')).join('\n');
}

function isolationLines(probes: ProbesAnswer): string[] {
  return Object.entries(probes).flatMap(([name, isolation]) => [
    `Isolation ${name}: ${isolation.usable ? 'usable' : 'NOT usable'}`,
    ...Object.entries(isolation.facts).map(([key, fact]) => ` ${key}: ${fact}`),
    ...isolation.probes.flatMap(findingLines),
  ]);
}

function findingLines({ name, ok, detail, remedy }: Finding): string[] {
  return [
    ` [${ok ? 'ok' : '!!'}] ${name}: ${detail}`,
    ...(ok || remedy === undefined ? [] : [`      remedy: ${remedy}`]),
  ];
}
