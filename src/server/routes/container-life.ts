// Starting, stopping and waiting for workloads.

import type { BerthError, ExitStatus } from '../../core/index.ts';
import { FieldError, given } from '../../wire/index.ts';
import type { Call } from '../http/call.ts';
import { beginStream, sendEmpty, sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import type { Services } from './services.ts';

export function containerLifeRoutes({ engine }: Services): readonly Route[] {
  const { workloads } = engine;
  const done = (work: (call: Call) => Promise<unknown>) => async (call: Call) => {
    await work(call);
    sendEmpty(call);
  };
  const changed = (work: (call: Call) => Promise<boolean>) => async (call: Call) => {
    sendEmpty(call, (await work(call)) ? 204 : 304);
  };
  return [
    {
      method: 'POST',
      path: '/containers/{}/start',
      handle: changed((call) => workloads.start(call.param())),
    },
    {
      method: 'POST',
      path: '/containers/{}/stop',
      handle: changed((call) => workloads.stop(call.param(), stopOptions(call))),
    },
    {
      method: 'POST',
      path: '/containers/{}/restart',
      handle: done((call) => workloads.restart(call.param(), stopOptions(call))),
    },
    {
      method: 'POST',
      path: '/containers/{}/kill',
      handle: done((call) => workloads.kill(call.param(), call.text('signal'))),
    },
    { method: 'POST', path: '/containers/{}/pause', handle: done((call) => workloads.pause(call.param())) },
    {
      method: 'POST',
      path: '/containers/{}/unpause',
      handle: done((call) => workloads.resume(call.param())),
    },
    {
      method: 'POST',
      path: '/containers/{}/resize',
      handle: done((call) => workloads.resize(call.param(), readSize(call))),
    },
    {
      method: 'GET',
      path: '/containers/{}/top',
      handle: async (call) => {
        const { titles, rows } = await workloads.top(call.param(), readPsArgs(call));
        sendJson(call, { Titles: titles, Processes: rows });
      },
    },
    { method: 'POST', path: '/containers/{}/wait', handle: (call) => wait(engine, call) },
  ];
}

function stopOptions(call: Call) {
  return { ...given('signal', call.text('signal')), ...given('timeoutSeconds', call.integer('t')) };
}

/** `h` and `w` of a resize. Fails with FieldError. */
export function readSize(call: Call) {
  const read = (name: string) => {
    const value = call.integer(name) ?? 0;
    if (value < 0 || value > 65535) throw new FieldError(name, `'${value}' is not a size of a terminal`);
    return value;
  };
  return { rows: read('h'), columns: read('w') };
}

function readPsArgs(call: Call): readonly string[] {
  return (call.text('ps_args') ?? '-ef').split(/\s+/).filter((word) => word !== '');
}

const CONDITIONS = ['not-running', 'next-exit', 'removed'] as const;

async function wait({ workloads }: Services['engine'], call: Call): Promise<void> {
  const text = call.text('condition') ?? 'not-running';
  const condition = CONDITIONS.find((known) => known === text);
  if (condition === undefined) throw new FieldError('condition', `"${text}"; use ${CONDITIONS.join(', ')}`);
  const { id } = workloads.get(call.param());
  const exit = workloads.wait(id, condition, call.signal);
  // Clients start the workload once these headers have come: from here on nothing is missed.
  beginStream(call, 'application/json');
  const answer = await exit.then(toWaitAnswer, (error: unknown) => {
    if (call.signal.aborted) throw error;
    return { StatusCode: 125, Error: { Message: (error as BerthError).message } };
  });
  call.response.end(`${JSON.stringify(answer)}\n`);
}

function toWaitAnswer({ code }: ExitStatus) {
  return { StatusCode: code };
}
