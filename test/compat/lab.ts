// One client against one daemon in one isolation: what scenarios run in.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, dockerAt } from './docker.ts';
import { type Context, expectOk, type Isolation } from './scenario.ts';

let labs = 0;

/** Docker's older client warns once about a missing configuration folder: it gets an empty one. */
export async function openLab(
  client: Client,
  isolation: Isolation,
  host: string,
  scratch: string,
): Promise<Context> {
  const label = `${client.name.replaceAll(/[^a-z0-9]/g, '')}-${isolation}`;
  const folder = join(scratch, label);
  const config = join(folder, 'config');
  await mkdir(config, { recursive: true });
  const docker = dockerAt(client, host, config);
  let names = 0;
  let shared: Promise<string> | undefined;
  const run: Context['run'] = (args, options) => docker(['run', '--isolation', isolation, ...args], options);
  const startShared = async () => {
    const name = `${label}-shared`;
    const flags = ['-d', '--name', name, '--label', 'tier=shared', '--stop-timeout', '0'];
    expectOk(await run([...flags, 'busybox', 'sleep', '100000']));
    return name;
  };
  return {
    isolation,
    octet: 200 + labs++,
    docker,
    folder,
    run,
    name: (stem) => `${label}-${stem}-${++names}`,
    shared: () => {
      shared ??= startShared();
      return shared;
    },
  };
}
