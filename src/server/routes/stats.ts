// GET /containers/{id}/stats. Nothing is sampled but while a client watches.

import { readFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { BerthError, isBerthError } from '../../core/index.ts';
import type { Call } from '../http/call.ts';
import { beginStream, sendJson, writePart } from '../http/respond.ts';
import { type Sample, toStatsJson } from '../translate/stats.ts';
import type { Services } from './services.ts';

const INTERVAL_MS = 1000;
/** Between the two samples that a single answer needs for a CPU percentage. */
const PAIR_MS = 500;
/** The kernel counts /proc/stat in hundredths of a second. */
const NS_PER_TICK = 1e7;

export async function stats({ engine }: Services, call: Call): Promise<void> {
  const { id, name } = engine.workloads.get(call.param());
  const context = { id, name, cpus: availableParallelism(), hostMemoryBytes: totalmem() };
  const take = () => takeSample(engine, id);
  const first = await take();
  if (!call.flag('stream', true)) {
    if (call.flag('one-shot') || first === undefined) {
      sendJson(call, toStatsJson(context, first, undefined));
      return;
    }
    await pause(PAIR_MS, call);
    sendJson(call, toStatsJson(context, (await take()) ?? first, first));
    return;
  }
  beginStream(call, 'application/json');
  let previous: Sample | undefined;
  let current = first;
  while (engine.workloads.list().some((view) => view.id === id)) {
    await writePart(call, `${JSON.stringify(toStatsJson(context, current, previous))}\n`);
    await pause(INTERVAL_MS, call);
    previous = current;
    current = await take();
  }
  call.response.end();
}

async function pause(ms: number, call: Call): Promise<void> {
  try {
    await delay(ms, undefined, { signal: call.signal });
  } catch (cause) {
    throw new BerthError('cancelled', 'the client went away', { cause });
  }
}

/** Undefined while it does not run. */
async function takeSample(engine: Services['engine'], id: string): Promise<Sample | undefined> {
  try {
    const [figures, hostCpuNs, networks] = await Promise.all([
      engine.workloads.stats(id),
      readHostCpuNs(),
      engine.workloads.networkFigures(id),
    ]);
    return { stats: figures, hostCpuNs, networks };
  } catch (error) {
    if (isBerthError(error, 'unsupported') || isBerthError(error, 'internal')) throw error;
    return undefined;
  }
}

/** CPU time of all CPUs, idle included: the sum of the first line of /proc/stat, guest times being part of user times. */
async function readHostCpuNs(): Promise<number> {
  const line = (await readFile('/proc/stat', 'utf8')).split('\n', 1)[0] ?? '';
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return ticks.reduce((sum, value) => sum + value, 0) * NS_PER_TICK;
}
