// The daemon itself: ping, version, info, disk usage.

import { API_VERSION, Fields, MIN_API_VERSION } from '../../wire/index.ts';
import { readJson } from '../http/body.ts';
import type { Call } from '../http/call.ts';
import { HttpError } from '../http/errors.ts';
import { sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import { toImageSummary } from '../translate/image-json.ts';
import { toSummary } from '../translate/summary.ts';
import { sizesOf } from './containers.ts';
import { describeHost, GO_ARCHITECTURE } from './host-facts.ts';
import { info } from './info.ts';
import type { Services } from './services.ts';
import { toVolumeJson, volumeUses } from './volumes.ts';

export function systemRoutes(services: Services): readonly Route[] {
  return [
    { method: 'GET', path: '/_ping', handle: ping },
    { method: 'HEAD', path: '/_ping', handle: ping },
    { method: 'GET', path: '/version', handle: (call) => version(services, call) },
    { method: 'GET', path: '/info', handle: async (call) => sendJson(call, await info(services)) },
    { method: 'GET', path: '/system/df', handle: (call) => diskUsage(services, call) },
    { method: 'POST', path: '/auth', handle: auth },
  ];
}

function ping({ response }: Call): void {
  response.writeHead(200, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': 2,
    'Cache-Control': 'no-cache, no-store, must-revalidate',
    Pragma: 'no-cache',
    'Builder-Version': '1',
    Swarm: 'inactive',
  });
  response.end('OK');
}

async function version(services: Services, call: Call): Promise<void> {
  const host = await describeHost();
  const details = {
    ApiVersion: API_VERSION,
    Arch: GO_ARCHITECTURE,
    BuildTime: '',
    Experimental: 'false',
    GitCommit: '',
    GoVersion: '',
    KernelVersion: host.kernel,
    MinAPIVersion: MIN_API_VERSION,
    Os: 'linux',
  };
  sendJson(call, {
    Platform: { Name: 'Berth' },
    Components: [
      { Name: 'Engine', Version: services.version, Details: details },
      { Name: 'Node.js', Version: process.versions.node, Details: {} },
    ],
    Version: services.version,
    ...details,
    Experimental: undefined,
  });
}

/** Credentials stay with the client, which sends them with each pull: there is nothing to log in to. */
async function auth(call: Call): Promise<void> {
  const server = new Fields(await readJson(call)).string('serveraddress') ?? '';
  throw new HttpError(
    501,
    `logging in${server === '' ? '' : ` to ${server}`} is not supported: put the credentials into ~/.docker/config.json, pulls use them`,
  );
}

async function diskUsage(services: Services, call: Call): Promise<void> {
  const { engine, images } = services;
  const wanted = call.query.getAll('type');
  const part = async <T>(type: string, read: () => Promise<readonly T[]>) =>
    wanted.length === 0 || wanted.includes(type) ? await read() : null;
  const now = Date.now();
  const used = engine.imagesInUse();
  const { layersBytes } = await images.diskUsage();
  sendJson(call, {
    LayersSize: layersBytes,
    Images: await part('image', async () =>
      (await images.list()).map((image) => ({
        ...toImageSummary(image, used.get(image.id)?.length ?? 0),
        SharedSize: 0,
      })),
    ),
    Containers: await part('container', () =>
      Promise.all(
        engine.workloads
          .list()
          .map(async (view) => toSummary(view, engine.networks, now, await sizesOf(services, view))),
      ),
    ),
    Volumes: await part('volume', () => volumesWithUsage(services)),
    BuildCache: await part('build-cache', () => Promise.resolve([])),
    BuilderSize: 0,
  });
}

async function volumesWithUsage(services: Services) {
  const { volumes } = services.engine;
  const uses = volumeUses(services);
  return await Promise.all(
    volumes.list().map(async (volume) => ({
      ...toVolumeJson(volume),
      UsageData: { RefCount: uses.get(volume.name) ?? 0, Size: await volumes.usageBytes(volume.name) },
    })),
  );
}
