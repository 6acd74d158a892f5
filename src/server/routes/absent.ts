// What Docker has and Berth has not: answered so that clients say why, instead of `page not found`.

import type { Call } from '../http/call.ts';
import { HttpError } from '../http/errors.ts';
import { sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';

const SWARM_PATHS = ['swarm', 'services', 'nodes', 'tasks', 'secrets', 'configs'];
const NO_SWARM = 'This node is not a swarm manager. Berth runs workloads on one host and has no swarm mode.';
const NO_BUILD = 'building images is not supported in this version: build elsewhere and use load or pull';

export function absentRoutes(): readonly Route[] {
  const refuse = (status: number, message: string) => (_: Call) => {
    throw new HttpError(status, message);
  };
  const methods = ['GET', 'POST', 'DELETE'] as const;
  return [
    ...SWARM_PATHS.flatMap((path) =>
      methods.flatMap((method) => [
        { method, path: `/${path}`, handle: refuse(503, NO_SWARM) },
        { method, path: `/${path}/{*}`, handle: refuse(503, NO_SWARM) },
      ]),
    ),
    { method: 'POST', path: '/build', handle: refuse(501, NO_BUILD) },
    {
      method: 'POST',
      path: '/build/prune',
      handle: (call) => sendJson(call, { CachesDeleted: null, SpaceReclaimed: 0 }),
    },
    { method: 'POST', path: '/session', handle: refuse(501, NO_BUILD) },
    { method: 'POST', path: '/grpc', handle: refuse(501, NO_BUILD) },
    { method: 'GET', path: '/plugins', handle: (call) => sendJson(call, []) },
    {
      method: 'GET',
      path: '/containers/{}/attach/ws',
      handle: refuse(501, 'attaching over a WebSocket is not supported: use POST /containers/{id}/attach'),
    },
    {
      method: 'GET',
      path: '/distribution/{*}/json',
      handle: refuse(501, 'registry descriptions are not supported: pull the image'),
    },
  ];
}
