// GET /metrics, for Prometheus. Everything is read when it is asked for, and nothing in between.

import { setTimeout as delay } from 'node:timers/promises';
import type { InstanceStats, WorkloadView } from '../../core/index.ts';
import type { Call } from '../http/call.ts';
import type { Route } from '../http/router.ts';
import { addDaemon } from '../metrics/daemon.ts';
import { CONTENT_TYPE, Exposition, type Metric } from '../metrics/exposition.ts';
import { addWorkload } from '../metrics/workloads.ts';
import type { Services } from './services.ts';

/** A guest that hangs must not hold up the figures of all others. */
const PATIENCE_MS = 1000;

const UNANSWERED: Metric = {
  name: 'berth_workloads_unanswered',
  type: 'gauge',
  help: 'Running workloads whose figures could not be had in time.',
};

export function metricsRoutes(services: Services): readonly Route[] {
  // Of earlier scrapes: whoever has not answered yet is not asked again.
  const asked = new Map<string, Promise<InstanceStats>>();
  return [{ method: 'GET', path: '/metrics', handle: (call) => metrics(services, asked, call) }];
}

async function metrics(
  { engine, version }: Services,
  asked: Map<string, Promise<InstanceStats>>,
  { response }: Call,
): Promise<void> {
  const workloads = engine.workloads.list();
  const ask = (id: string) => {
    const answer = asked.get(id) ?? engine.workloads.stats(id).finally(() => asked.delete(id));
    asked.set(id, answer);
    return answer;
  };
  const found = await inTime(workloads.filter(isAlive), ask);
  const out = new Exposition();
  addDaemon(out, { version, workloads, figures: engine.figures() });
  for (const view of workloads) addWorkload(out, view, found.get(view.id));
  out.add(UNANSWERED, '', workloads.filter(isAlive).length - found.size);
  const body = Buffer.from(out.toString());
  response.writeHead(200, { 'Content-Type': CONTENT_TYPE, 'Content-Length': body.length });
  response.end(body);
}

function isAlive({ state }: WorkloadView): boolean {
  return state === 'running' || state === 'paused';
}

/** What is answered within the patience. One that ends meanwhile has no figures any more. */
async function inTime(
  views: readonly WorkloadView[],
  ask: (id: string) => Promise<InstanceStats>,
): Promise<ReadonlyMap<string, InstanceStats>> {
  const found = new Map<string, InstanceStats>();
  const late = new AbortController();
  const answers = views.map(async ({ id }) => {
    const stats = await ask(id).catch(() => undefined);
    if (stats !== undefined) found.set(id, stats);
  });
  const tooLate = delay(PATIENCE_MS, undefined, { signal: late.signal }).catch(() => {});
  await Promise.race([Promise.all(answers), tooLate]);
  late.abort();
  return new Map(found);
}
