// What the OCI runtime complains of, in Docker's words. Pure.

import { BerthError } from '../../core/index.ts';

/** The message inside a line of the runtime's log, which may be plain, JSON or logfmt. */
export function runtimeMessage(text: string): string {
  const lines = text.split('\n').filter((line) => line !== '');
  const line =
    lines.findLast((entry) => /"level":"error"|level=(error|fatal)/.test(entry)) ?? lines.at(-1) ?? text;
  const json = /"msg":"((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? /\bmsg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1];
  if (json === undefined) return line.trim();
  try {
    return JSON.parse(`"${json}"`) as string;
  } catch {
    return json;
  }
}

/** Why a command could not be executed, as `exec: "x": …`, or undefined when the runtime's text is about something else. */
function executionProblem(message: string, command: string): string | undefined {
  const lower = message.toLowerCase();
  if (lower.includes('not found in $path') || lower.includes('no such file'))
    return command.includes('/')
      ? `stat ${command}: no such file or directory`
      : 'executable file not found in $PATH';
  if (lower.includes('not permitted') || lower.includes('is a directory')) return 'is a directory';
  if (lower.includes('permission denied')) return 'permission denied';
  return lower.includes('exec format error') ? 'exec format error' : undefined;
}

/** A pause between our look at the state and the runtime's, in the words of crun and runc. */
const PAUSED = /container `?[\w-]+`? is paused|cannot exec in a paused container/;

/**
 * The error of a failed start or exec. A command that could not be executed keeps its exit status (126, 127); anything
 * else of the runtime's is `internal` with its own words.
 */
export function launchError(action: 'create' | 'exec', command: string, error: unknown): unknown {
  if (!(error instanceof BerthError)) return error;
  const prefix = action === 'create' ? 'OCI runtime create failed' : 'OCI runtime exec failed: exec failed';
  const message = runtimeMessage(error.message);
  const problem = error.exitStatus === undefined ? undefined : executionProblem(message, command);
  if (problem === undefined) {
    if (error.code !== 'internal') return error;
    if (PAUSED.test(message))
      return new BerthError('conflict', 'the container is paused, unpause it before exec', { cause: error });
    return new BerthError('internal', `${prefix}: ${message}`, { cause: error });
  }
  return new BerthError(
    'invalid-argument',
    `${prefix}: unable to start container process: exec: ${JSON.stringify(command)}: ${problem}: unknown`,
    { cause: error, ...(error.exitStatus === undefined ? {} : { exitStatus: error.exitStatus }) },
  );
}
