// Checkpoints and forks of running workloads.

import { type Copied, Fields, given, readCopyRequest } from '../../wire/index.ts';
import { readJson } from '../http/body.ts';
import { sendEmpty, sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import type { Services } from './services.ts';

const ALL = '/berth/v1/checkpoints';
const ONE = '/berth/v1/checkpoints/{}';

export function checkpointRoutes({ engine }: Services): readonly Route[] {
  const { checkpoints, workloads } = engine;
  const copied = (ids: readonly string[]): Copied => ({
    copies: ids.map((id) => ({ id, name: workloads.get(id).name })),
  });
  return [
    {
      method: 'POST',
      path: '/berth/v1/workloads/{}/checkpoints',
      handle: async (call) => {
        const name = new Fields(await readJson(call, {})).string('name');
        sendJson(call, await checkpoints.create(call.param(), given('name', name)), 201);
      },
    },
    {
      method: 'POST',
      path: '/berth/v1/workloads/{}/fork',
      handle: async (call) => {
        const request = readCopyRequest(await readJson(call, {}));
        const { ids, pauseMs } = await checkpoints.fork(call.param(), request);
        sendJson(call, { ...copied(ids), pauseMs }, 201);
      },
    },
    { method: 'GET', path: ALL, handle: (call) => sendJson(call, checkpoints.list()) },
    { method: 'GET', path: ONE, handle: (call) => sendJson(call, checkpoints.get(call.param())) },
    {
      method: 'DELETE',
      path: ONE,
      handle: async (call) => {
        await checkpoints.remove(call.param());
        sendEmpty(call);
      },
    },
    {
      method: 'POST',
      path: `${ONE}/restore`,
      handle: async (call) => {
        const request = readCopyRequest(await readJson(call, {}));
        sendJson(call, copied(await checkpoints.restore(call.param(), request)), 201);
      },
    },
  ];
}
