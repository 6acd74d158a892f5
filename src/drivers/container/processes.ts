// The processes of a container as the host's ps shows them.

import { BerthError, isBerthError, type ProcessTable } from '../../core/index.ts';
import { cgroupPids } from '../../host/cgroup.ts';
import { run } from '../../host/process.ts';

/** Docker's when none are given. */
const DEFAULT_ARGS = ['-ef'];

/**
 * Keeps the rows of these processes. The last column takes the rest of a line, as a command holds spaces. Pure. Fails
 * with `invalid-argument` when the output has no PID column.
 */
export function filterTable(output: string, pids: readonly number[]): ProcessTable {
  const [head = '', ...lines] = output.split('\n').filter((line) => line.trim() !== '');
  const titles = head.trim().split(/\s+/);
  const column = titles.indexOf('PID');
  if (column < 0) throw new BerthError('invalid-argument', "Couldn't find PID field in ps output");
  const wanted = new Set(pids.map(String));
  const rows = lines
    .map((line) => splitRow(line.trim(), titles.length))
    .filter((row) => wanted.has(row[column] ?? ''));
  return { titles, rows };
}

function splitRow(line: string, columns: number): string[] {
  const parts = line.split(/\s+/);
  if (parts.length <= columns) return parts;
  return [...parts.slice(0, columns - 1), parts.slice(columns - 1).join(' ')];
}

export async function listProcesses(cgroupPath: string, psArgs: readonly string[]): Promise<ProcessTable> {
  const args = psArgs.length === 0 ? DEFAULT_ARGS : psArgs;
  const [output, pids] = await Promise.all([ps(args), cgroupPids(cgroupPath)]);
  return filterTable(output, pids);
}

async function ps(args: readonly string[]): Promise<string> {
  try {
    return (await run('ps', args, { timeoutMs: 10_000 })).stdout;
  } catch (error) {
    if (isBerthError(error, 'not-found'))
      throw new BerthError('unavailable', 'ps is not installed on this host: install the package procps', {
        cause: error,
      });
    if (isBerthError(error, 'timeout')) throw error;
    throw new BerthError('invalid-argument', `error running ps: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
