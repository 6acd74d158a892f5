// Further processes in running workloads.

import type { ProcessIo } from '../../core/index.ts';
import type { ExecView } from '../../engine/api.ts';
import { encodeFrame, FRAME } from '../../formats/frames.ts';
import { visibleText } from '../../formats/visible.ts';
import { given, readExecCreate, readExecStart } from '../../wire/index.ts';
import { readJson } from '../http/body.ts';
import type { Call } from '../http/call.ts';
import { toRefusal } from '../http/errors.ts';
import { converse, endConversation, hijack, streamType } from '../http/hijack.ts';
import { sendEmpty, sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import { readSize } from './container-life.ts';
import type { Services } from './services.ts';

export function execRoutes({ engine }: Services): readonly Route[] {
  return [
    { method: 'POST', path: '/containers/{}/exec', handle: (call) => create(engine, call) },
    { method: 'POST', path: '/exec/{}/start', hijacks: true, handle: (call) => start(engine, call) },
    {
      method: 'POST',
      path: '/exec/{}/resize',
      handle: async (call) => {
        await engine.execs.resize(call.param(), readSize(call));
        sendEmpty(call, 200);
      },
    },
    {
      method: 'GET',
      path: '/exec/{}/json',
      handle: (call) => sendJson(call, toExecJson(engine.execs.get(call.param()))),
    },
  ];
}

async function create({ execs, workloads }: Services['engine'], call: Call): Promise<void> {
  const { id } = workloads.get(call.param());
  const request = readExecCreate(await readJson(call));
  const exec = await execs.create(id, {
    args: request.Cmd,
    env: request.Env,
    ...given('workingDir', request.WorkingDir),
    ...given('user', request.User),
    tty: request.Tty,
    privileged: request.Privileged,
    attachStdin: request.AttachStdin,
    attachStdout: request.AttachStdout,
    attachStderr: request.AttachStderr,
    detachKeys: request.DetachKeys,
  });
  sendJson(call, { Id: exec }, 201);
}

async function start({ execs }: Services['engine'], call: Call): Promise<void> {
  const request = readExecStart(await readJson(call, {}));
  const { id, spec } = execs.get(call.param());
  if (request.Detach) {
    const io = await execs.start(id, request.ConsoleSize);
    letRun(io);
    sendEmpty(call, 200);
    return;
  }
  execs.checkStart(id);
  const socket = hijack(call, streamType(call, spec.tty));
  try {
    const io = await execs.start(id, request.ConsoleSize);
    await converse(call, socket, io, { input: spec.attachStdin, endsInput: true });
  } catch (error) {
    // Clients take the exit status from the exec's description, and what went wrong from its output.
    const text = `${visibleText(toRefusal(error).body.message)}\r\n`;
    socket.write(spec.tty ? text : encodeFrame(FRAME.stderr, text));
    endConversation(socket);
  }
}

/** Nobody listens: its input ends and its output is thrown away. */
function letRun(io: ProcessIo): void {
  io.exit.catch(() => {});
  io.output.on('error', () => {});
  io.input.on('error', () => {});
  io.input.end();
  io.output.resume();
}

function toExecJson({ id, workloadId, spec, running, pid, exitCode }: ExecView) {
  const [entrypoint = '', ...args] = spec.args;
  return {
    ID: id,
    Running: running,
    ExitCode: exitCode ?? null,
    ProcessConfig: {
      tty: spec.tty,
      entrypoint,
      arguments: args,
      privileged: spec.privileged,
      ...given('user', spec.user),
    },
    OpenStdin: spec.attachStdin,
    OpenStderr: spec.attachStderr,
    OpenStdout: spec.attachStdout,
    CanRemove: exitCode !== undefined,
    ContainerID: workloadId,
    DetachKeys: spec.detachKeys === '' ? null : Buffer.from(spec.detachKeys).toString('base64'),
    Pid: pid,
  };
}
