// Attach, logs and stats of a workload: what goes on for as long as a client listens.

import { PassThrough, Readable } from 'node:stream';
import { BerthError } from '../../core/index.ts';
import type { LogEntry, LogOptions } from '../../engine/api.ts';
import { encodeFrame } from '../../formats/frames.ts';
import { given, parseMoment } from '../../wire/index.ts';
import { discardBody } from '../http/body.ts';
import type { Call } from '../http/call.ts';
import { converse, hijack, streamType } from '../http/hijack.ts';
import { beginStream, writePart } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import type { Services } from './services.ts';
import { stats } from './stats.ts';

export function containerStreamRoutes(services: Services): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/containers/{}/attach',
      hijacks: true,
      handle: (call) => attach(services, call),
    },
    { method: 'GET', path: '/containers/{}/logs', handle: (call) => logs(services, call) },
    { method: 'GET', path: '/containers/{}/stats', handle: (call) => stats(services, call) },
  ];
}

async function attach({ engine }: Services, call: Call): Promise<void> {
  const { workloads } = engine;
  const view = workloads.get(call.param());
  const { tty, openStdin, stdinOnce } = view.spec;
  const options = {
    stdin: call.flag('stdin') && openStdin,
    stdout: call.flag('stdout'),
    stderr: call.flag('stderr'),
  };
  await discardBody(call);
  const wantsLogs = call.flag('logs');
  const past = wantsLogs ? await pastOutput(workloads, view.id, options, tty, call.signal) : undefined;
  if (!call.flag('stream', !wantsLogs)) {
    beginStream(call, streamType(call, tty));
    for await (const part of past ?? []) await writePart(call, part as Buffer);
    call.response.end();
    return;
  }
  const io = await workloads.attach(view.id, options);
  // The end of the client's input is the process's only where that was the deal: `run -i`, not `attach`.
  const endsInput = stdinOnce && !tty;
  await converse(call, hijack(call, streamType(call, tty)), io, {
    input: call.flag('stdin'),
    endsInput: endsInput || !openStdin,
    ...given('before', past),
  });
}

async function pastOutput(
  workloads: Services['engine']['workloads'],
  id: string,
  streams: { readonly stdout: boolean; readonly stderr: boolean },
  tty: boolean,
  signal: AbortSignal,
): Promise<Readable> {
  const { stdout, stderr } = streams;
  const entries = await workloads.logs(id, { stdout, stderr, follow: false, signal });
  return Readable.from(rendered(entries, tty, false)).pipe(new PassThrough());
}

/** The entries as they are sent. Long lines have several, of which the first tells the line's time. */
async function* rendered(entries: AsyncIterable<LogEntry>, raw: boolean, timestamps: boolean) {
  const unfinished = new Set<number>();
  for await (const { stream, time, line } of entries) {
    const text = timestamps && !unfinished.has(stream) ? `${padTime(time)} ${line}` : line;
    if (line.endsWith('\n')) unfinished.delete(stream);
    else unfinished.add(stream);
    yield raw ? Buffer.from(text) : encodeFrame(stream, text);
  }
}

/** Stored times end with their last digit that is not zero; Docker shows all nine. */
function padTime(time: string): string {
  const [, seconds = time, fraction = ''] = /^(.*?:\d\d)(?:\.(\d+))?Z$/.exec(time) ?? [];
  return `${seconds}.${fraction.padEnd(9, '0')}Z`;
}

async function logs({ engine }: Services, call: Call): Promise<void> {
  const { id, spec } = engine.workloads.get(call.param());
  const options = readLogOptions(call);
  if (spec.log.driver === 'none')
    throw new BerthError('unsupported', 'configured logging driver does not support reading: it is none');
  const timestamps = call.flag('timestamps');
  const entries = await engine.workloads.logs(id, { ...options, signal: call.signal });
  beginStream(call, streamType(call, spec.tty));
  for await (const part of rendered(entries, spec.tty, timestamps)) await writePart(call, part);
  call.response.end();
}

function readLogOptions(call: Call): LogOptions {
  const stdout = call.flag('stdout');
  const stderr = call.flag('stderr');
  if (!stdout && !stderr)
    throw new BerthError('invalid-argument', 'Bad parameters: you must choose at least one stream');
  // Docker's zero means "no bound".
  const moment = (name: string) => {
    const value = parseMoment(name, call.query.get(name));
    return value === undefined || value === 0n ? undefined : value;
  };
  return {
    stdout,
    stderr,
    follow: call.flag('follow'),
    ...given('tail', readTail(call)),
    ...given('since', moment('since')),
    ...given('until', moment('until')),
  };
}

/** As in Docker, whatever is no number means all. */
function readTail(call: Call): number | undefined {
  const text = call.text('tail') ?? 'all';
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
