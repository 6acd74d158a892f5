// `berth version`: show the versions of client and daemon.

import type { VersionAnswer } from '../../sdk/types.ts';
import { type Context, defineCommand } from '../command.ts';
import { errorText } from '../errors.ts';
import { renderOne } from '../format/list.ts';
import { VERSION } from '../version.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Show the versions of client and daemon',
  flags: { format: { kind: 'string', short: 'f', help: "json, or a template: '{{.Server.Version}}'" } },
  args: { min: 0, max: 0 },
  examples: [["version -f '{{.Server.ApiVersion}}'", 'the API version the daemon speaks']],
  run: async (context, { flags }) => {
    const client = { Version: VERSION, Os: process.platform, Arch: process.arch };
    const { server, failure } = await serverVersion(context);
    if (flags.format !== undefined) {
      await context.out.line(renderOne({ Client: client, Server: server ?? null }, flags.format));
    } else {
      await context.out.write(
        `Client:\n${lines({ Version: client.Version, 'OS/Arch': `${client.Os}/${client.Arch}` })}`,
      );
      if (server !== undefined) await context.out.write(`\nServer:\n${serverLines(server)}`);
    }
    if (failure === undefined) return 0;
    await context.err.line(errorText(failure));
    return 1;
  },
});

async function serverVersion(context: Context): Promise<{ server?: VersionAnswer; failure?: unknown }> {
  try {
    return { server: await (await context.client()).system.version() };
  } catch (failure) {
    return { failure };
  }
}

function serverLines(server: VersionAnswer): string {
  const components = (server.Components ?? []).map(({ Name, Version }) => [Name, Version] as const);
  return lines({
    Version: server.Version,
    'API version': `${server.ApiVersion} (minimum ${server.MinAPIVersion})`,
    'OS/Arch': `${server.Os}/${server.Arch}`,
    Kernel: server.KernelVersion,
    ...Object.fromEntries(components.filter(([name]) => name !== 'Engine')),
  });
}

function lines(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([key, value]) => ` ${`${key}:`.padEnd(20)}${value}\n`)
    .join('');
}
