// Image -> Docker's image descriptions.

import type { Image, ImageRunConfig } from '../../core/index.ts';

const unixSeconds = (time: string | undefined) => Math.floor(Date.parse(time ?? '') / 1000) || 0;

/** GET /images/json; `containers` is how many use it, -1: not counted. */
export function toImageSummary(image: Image, containers = -1) {
  return {
    Containers: containers,
    Created: unixSeconds(image.created),
    Id: image.id,
    Labels: image.config.Labels ?? null,
    ParentId: '',
    RepoDigests: image.repoDigests,
    RepoTags: image.tags,
    SharedSize: -1,
    Size: image.sizeBytes,
    VirtualSize: image.sizeBytes,
  };
}

/** GET /images/{name}/json. */
export function toImageInspect(image: Image) {
  return {
    Id: image.id,
    RepoTags: image.tags,
    RepoDigests: image.repoDigests,
    Parent: '',
    Comment: image.history.findLast(({ comment }) => comment)?.comment ?? '',
    Created: image.created,
    DockerVersion: '',
    Author: image.author ?? '',
    Config: toImageConfig(image.config),
    Architecture: image.architecture,
    ...(image.variant === undefined ? {} : { Variant: image.variant }),
    Os: image.os,
    Size: image.sizeBytes,
    VirtualSize: image.sizeBytes,
    GraphDriver: { Data: null, Name: 'overlay2' },
    RootFS: { Type: 'layers', Layers: image.layers.map(({ diffId }) => diffId) },
    Metadata: { LastTagTime: '0001-01-01T00:00:00Z' },
    Descriptor: {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: image.manifestDigest,
      size: 0,
    },
  };
}

function toImageConfig(config: ImageRunConfig) {
  return {
    Hostname: '',
    Domainname: '',
    User: config.User ?? '',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ...(config.ExposedPorts === undefined ? {} : { ExposedPorts: config.ExposedPorts }),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: config.Env ?? null,
    Cmd: config.Cmd ?? null,
    ...(config.Healthcheck === undefined ? {} : { Healthcheck: config.Healthcheck }),
    Image: '',
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? '',
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: null,
    Labels: config.Labels ?? null,
    ...(config.StopSignal === undefined ? {} : { StopSignal: config.StopSignal }),
    ...(config.Shell === undefined ? {} : { Shell: config.Shell }),
  };
}

/** GET /images/{name}/history, newest first. */
export function toImageHistory(image: Image) {
  const layers = [...image.layers];
  const steps = image.history.length > 0 ? image.history : image.layers.map(() => ({}));
  const entries = steps.map((step) => {
    const layer = 'empty_layer' in step && step.empty_layer ? undefined : layers.shift();
    return {
      Id: '<missing>',
      Created: 'created' in step ? unixSeconds(step.created) : unixSeconds(image.created),
      CreatedBy: 'created_by' in step ? (step.created_by ?? '') : '',
      Tags: null as readonly string[] | null,
      Size: layer?.unpackedBytes ?? 0,
      Comment: 'comment' in step ? (step.comment ?? '') : '',
    };
  });
  const top = entries.at(-1);
  if (top !== undefined)
    Object.assign(top, { Id: image.id, Tags: image.tags.length === 0 ? null : image.tags });
  return entries.reverse();
}
