// Creating a workload, and pulling its image first where that is needed and wanted.

import type { BerthClient } from '../../sdk/client.ts';
import { BerthSdkError } from '../../sdk/errors.ts';
import type { CreateRequest } from '../../sdk/types.ts';
import type { Context } from '../command.ts';
import { CliError } from '../errors.ts';
import type { WorkloadFlags } from './flags.ts';

/** Creates the workload and resolves to its id. Warnings and the progress of a pull go to stderr. */
export async function createWorkload(
  context: Context,
  client: BerthClient,
  request: CreateRequest,
  flags: WorkloadFlags,
): Promise<string> {
  const { name, platform, cidfile } = flags;
  const options = {
    ...(name === undefined ? {} : { name }),
    ...(platform === undefined ? {} : { platform }),
  };
  const idFile = cidfile === undefined ? undefined : await reserveIdFile(cidfile);
  try {
    if (flags.pull === 'always') await pull(context, client, request.Image, flags);
    const created = await client.containers.create(request, options).catch(async (error: unknown) => {
      if (!isMissingImage(error) || flags.pull === 'never') throw error;
      if (!flags.quiet) await context.err.line(`Unable to find image '${request.Image}' locally`);
      await pull(context, client, request.Image, flags);
      return client.containers.create(request, options);
    });
    for (const warning of created.Warnings ?? []) await context.err.line(`WARNING: ${warning}`);
    await idFile?.write(created.Id);
    return created.Id;
  } catch (error) {
    await idFile?.remove();
    throw error;
  }
}

function isMissingImage(error: unknown): boolean {
  return error instanceof BerthSdkError && error.status === 404 && /no such image/i.test(error.message);
}

async function pull(
  context: Context,
  client: BerthClient,
  image: string,
  flags: WorkloadFlags,
): Promise<void> {
  const { pullImage } = await import('./pull.ts');
  const platform = flags.platform === undefined ? {} : { platform: flags.platform };
  await pullImage(context, client, image, { ...platform, quiet: flags.quiet, output: context.err });
}

async function reserveIdFile(path: string) {
  const { open, rm } = await import('node:fs/promises');
  const file = await open(path, 'wx').catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === 'EEXIST' ? 'it exists; remove it or choose another' : cause.message;
    throw new CliError(`cannot write the id file ${path}: ${why}`, 125, { cause });
  });
  return {
    write: async (id: string) => {
      await file.writeFile(id);
      await file.close();
    },
    remove: async () => {
      await file.close().catch(() => {});
      await rm(path, { force: true });
    },
  };
}
