// Policies of workloads and networks: GET shows one, PUT sets it, DELETE removes it; a list of all.

import { BerthError } from '../../core/index.ts';
import type { PolicyTarget } from '../../engine/api.ts';
import { FieldError, Fields } from '../../wire/index.ts';
import { readJson } from '../http/body.ts';
import type { Call } from '../http/call.ts';
import { sendEmpty, sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import type { Services } from './services.ts';

export function policyRoutes({ engine: { policies, workloads } }: Services): readonly Route[] {
  const path = '/berth/v1/policies/{}/{}';
  return [
    { method: 'GET', path: '/berth/v1/policies', handle: (call) => sendJson(call, policies.list()) },
    {
      method: 'GET',
      path,
      handle: async (call) => {
        const view = policies.get(targetOf(call));
        const counters = view.kind === 'workload' ? await workloads.networkCounters(view.id) : new Map();
        sendJson(call, { ...view, counters: Object.fromEntries(counters) });
      },
    },
    {
      method: 'PUT',
      path,
      handle: async (call) => {
        const rules = new Fields(await readJson(call)).strings('rules');
        if (rules === undefined) throw new FieldError('rules', 'it is missing');
        await policies.set(targetOf(call), rules.join('\n'));
        sendEmpty(call);
      },
    },
    {
      method: 'DELETE',
      path,
      handle: async (call) => {
        await policies.set(targetOf(call), undefined);
        sendEmpty(call);
      },
    },
  ];
}

function targetOf(call: Call): PolicyTarget {
  const kind = call.param(0);
  if (kind === 'workload' || kind === 'network') return { kind, reference: call.param(1) };
  throw new BerthError('not-found', `there are policies of workload and network, not of ${kind}`);
}
