// `docker commit`: what a workload changed in its image's file system becomes a layer of a new image.

import { type FileChange, type Files, type Image, type ImageRunConfig, isBerthError } from '../core/index.ts';
import { writeTar } from '../formats/tar.ts';
import { filterTar } from '../formats/tar-filter.ts';
import type { CommitRequest } from './api.ts';
import type { EngineContext } from './context.ts';
import { pauseWorkload, resumeWorkload } from './lifecycle.ts';
import type { MergedConfig } from './resolve/index.ts';
import type { Workload } from './workload.ts';

const DELETED = 2;

export async function commitWorkload(
  ctx: EngineContext,
  workload: Workload,
  files: Files,
  request: CommitRequest,
): Promise<Image> {
  const { pause, config: changed, ...options } = request;
  const { config, imageId, instance } = workload.record;
  const base = await ctx.images.get(imageId);
  // A guest that stands still cannot hand out its files; the halt is for what can be read from outside.
  const halt = pause && workload.state === 'running' && workload.record.spec.isolation === 'container';
  if (halt) await pauseWorkload(ctx, workload);
  try {
    const image = await ctx.images.commit(base, layerOf(files, await files.changes()), {
      ...options,
      createdBy: instance.process.args.join(' '),
      config: { ...runConfig(base.config, config), ...changed },
    });
    ctx.events.publish(workload.event('commit', { imageID: image.id }));
    return image;
  } finally {
    if (halt)
      await resumeWorkload(ctx, workload).catch((error: unknown) => {
        // It may have been killed meanwhile.
        if (!isBerthError(error, 'conflict')) throw error;
      });
  }
}

/** What the workload runs with, in place of what its image says. */
function runConfig(image: ImageRunConfig, config: MergedConfig): ImageRunConfig {
  return {
    ...image,
    Env: config.env,
    Entrypoint: config.entrypoint,
    Cmd: config.command,
    ...(config.workingDir === '/' ? {} : { WorkingDir: config.workingDir }),
    ...(config.user === '' ? {} : { User: config.user }),
    Labels: config.labels,
  };
}

/** Whiteouts of what is gone, then all that is new or changed, as a tar (OCI image specification, "Layer"). */
async function* layerOf(files: Files, changes: readonly FileChange[]): AsyncGenerator<Buffer> {
  const gone = changes.filter(({ kind }) => kind === DELETED).map(({ path }) => path);
  const there = new Set(changes.filter(({ kind }) => kind !== DELETED).map(({ path }) => path.slice(1)));
  yield* filterTar(await files.read(''), (name) => there.has(name));
  yield* writeTar(
    gone.map((path) => ({ name: whiteout(path), type: 'file' as const })),
    'latin1',
  );
}

const whiteout = (path: string) => path.slice(1).replace(/[^/]+$/, (name) => `.wh.${name}`);
