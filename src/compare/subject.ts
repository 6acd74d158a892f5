// What is compared: the image, made or fetched if it is not there, the command, and the isolations that work here.

import { basename } from 'node:path';
import {
  BerthError,
  type DriverProbe,
  errorMessage,
  type Image,
  type ImageStore,
  type Isolation,
  isBerthError,
} from '../core/index.ts';
import { COMPARE_ISOLATIONS, type CompareRequest } from '../wire/compare.ts';

const DEFAULT_IMAGE = 'busybox';
const GREETING = ['echo', 'ready'];
const SHELLS = ['sh', 'ash', 'bash', 'dash', 'zsh'];

/** Fails with what the store says when the image cannot be had. */
export async function findImage(images: ImageStore, reference: string, signal?: AbortSignal): Promise<Image> {
  try {
    return await images.get(reference);
  } catch (error) {
    if (!isBerthError(error, 'not-found')) throw error;
  }
  const stop = signal === undefined ? {} : { signal };
  if (reference === DEFAULT_IMAGE) return images.createBase({ kind: 'busybox', packages: [], ...stop });
  return images.pull(reference, stop);
}

export function requestedImage(request: CompareRequest): string {
  return request.image ?? DEFAULT_IMAGE;
}

export interface Command {
  /** Overrides; absent: the image's own. */
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  /** For people. */
  readonly shown: readonly string[];
  readonly note: string;
}

/** Fails with `invalid-argument` when neither the request nor the image names a command. Pure. */
export function chooseCommand(request: CompareRequest, image: Image): Command {
  const entrypoint = image.config.Entrypoint ?? [];
  if (request.command !== undefined && request.command.length > 0) {
    const command = request.command;
    return { command, shown: [...entrypoint, ...command], note: 'given' };
  }
  const own = [...entrypoint, ...(image.config.Cmd ?? [])];
  if (own.length === 0) {
    const name = requestedImage(request);
    throw new BerthError('invalid-argument', `image ${name} has no command of its own: name one after it`);
  }
  const [only = ''] = own;
  if (own.length > 1 || !SHELLS.includes(basename(only))) return { shown: own, note: 'the image’s own' };
  const note = `chosen by Berth: the image’s own command is a bare shell (${only})`;
  return { entrypoint: [], command: GREETING, shown: GREETING, note };
}

export interface Chosen {
  readonly isolations: readonly Isolation[];
  readonly absent: readonly { readonly isolation: Isolation; readonly reason: string }[];
}

/** Fails with `unavailable` when none of those asked for is usable, with the reasons and remedies. Pure. */
export function chooseIsolations(
  request: CompareRequest,
  probes: Readonly<Partial<Record<Isolation, DriverProbe>>>,
): Chosen {
  const asked = COMPARE_ISOLATIONS.filter((name) => request.isolations?.includes(name) ?? true);
  const isolations = asked.filter((name) => probes[name]?.usable === true);
  const absent = asked
    .filter((name) => !isolations.includes(name))
    .map((isolation) => ({ isolation, reason: whyNot(probes[isolation]) }));
  if (isolations.length > 0) return { isolations, absent };
  const reasons = absent.map(({ isolation, reason }) => `${isolation}: ${reason}`).join('; ');
  throw new BerthError('unavailable', `no isolation can run on this host: ${reasons}`);
}

function whyNot(probe: DriverProbe | undefined): string {
  if (probe === undefined) return 'this daemon has no such driver';
  const failed = probe.probes.filter((item) => !item.ok);
  const words = failed.map(
    ({ name, detail, remedy }) => `${name}: ${detail}${remedy === undefined ? '' : ` (${remedy})`}`,
  );
  return words.join('; ') || 'its driver found it not usable';
}

/** Fails with `unavailable` naming what is missing when the workbench program was not built. */
export function missingBench(path: string, error: unknown): BerthError {
  return new BerthError(
    'unavailable',
    `cannot read ${path} (${errorMessage(error)}): build it with scripts/build.sh`,
  );
}
