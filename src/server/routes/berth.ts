// Berth's own endpoints: what Docker's API cannot say.

import { errorMessage } from '../../core/index.ts';
import { type CompareRequest, compareRequestProblem } from '../../wire/compare.ts';
import { FieldError } from '../../wire/index.ts';
import { readJson } from '../http/body.ts';
import type { Call } from '../http/call.ts';
import { beginStream, sendEmpty, sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import type { Services } from './services.ts';

export function berthRoutes(services: Services): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/berth/v1/probes',
      handle: async (call) => sendJson(call, await services.engine.probes()),
    },
    {
      method: 'GET',
      path: '/berth/v1/host/networks',
      handle: async (call) => sendJson(call, await services.engine.networkHost.findings()),
    },
    {
      method: 'DELETE',
      path: '/berth/v1/host/networks',
      handle: async (call) => {
        await services.engine.networkHost.uninstall();
        sendEmpty(call);
      },
    },
    { method: 'POST', path: '/berth/v1/compare', handle: (call) => compare(services, call) },
  ];
}

/** JSON lines: {progress} …, then {report} or {error}. An error before the first line is an ordinary refusal. */
async function compare(services: Services, call: Call): Promise<void> {
  const request = await readJson(call, {});
  const problem = compareRequestProblem(request);
  if (problem !== undefined) throw new FieldError('comparison', problem);
  const { response } = call;
  const send = (line: object) => {
    if (!response.headersSent) beginStream(call, 'application/json');
    if (!response.destroyed) response.write(`${JSON.stringify(line)}\n`);
  };
  try {
    const report = await services.compare.run(
      request as CompareRequest,
      (progress) => send({ progress }),
      call.signal,
    );
    send({ report });
  } catch (error) {
    if (!response.headersSent) throw error;
    send({ error: errorMessage(error) });
  }
  response.end();
}
