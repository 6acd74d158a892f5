// Pulling an image with progress, and what to say when there is no way to it.

import type { BerthClient } from '../../sdk/client.ts';
import { BerthSdkError } from '../../sdk/errors.ts';
import { splitReference } from '../../sdk/images.ts';
import type { Context } from '../command.ts';
import { CliError } from '../errors.ts';
import { showProgress } from '../format/progress.ts';
import type { Output } from '../output.ts';
import { registryAuth } from './registry-auth.ts';

export interface PullFlags {
  readonly platform?: string;
  readonly quiet: boolean;
  readonly output: Output;
}

/** Base images that Berth makes without a registry. */
const LOCAL_BASES = ['busybox', 'debian'];

export async function pullImage(
  context: Context,
  client: BerthClient,
  image: string,
  flags: PullFlags,
): Promise<void> {
  const auth = registryAuth(image, context.env);
  const messages = client.images.pull(image, {
    ...(flags.platform === undefined ? {} : { platform: flags.platform }),
    ...(auth === undefined ? {} : { auth }),
  });
  try {
    await showProgress(messages, flags.output, { quiet: flags.quiet });
  } catch (error) {
    if (!(error instanceof BerthSdkError)) throw error;
    const { fromImage } = splitReference(image);
    const hint = LOCAL_BASES.includes(fromImage)
      ? `\nNo registry is needed for it: 'berth image create ${fromImage}' makes one on this machine.`
      : '';
    throw new CliError(`Error response from daemon: ${error.message}${hint}`, 125, { cause: error });
  }
}
