// Notices when somebody removes tables: `nft flush ruleset` is how other firewalls begin.

import { type StreamChild, spawnStream } from '../../host/index.ts';

export interface TableWatch {
  close(): void;
}

/**
 * Calls `gone` when one or more tables of a name were removed, by whomever. Until `close`, one program runs that waits
 * for the kernel's word; it does not keep this process alive. Without nft nothing is noticed.
 */
export function watchTables(name: string, gone: () => void): TableWatch {
  const child: StreamChild = spawnStream('nft', ['monitor', 'destroy', 'tables']);
  child.unref();
  child.exit.catch(() => {});
  child.stdin.on('error', () => {});
  child.stderr.resume();
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    const lines = (text + more).split('\n');
    text = lines.pop() ?? '';
    if (lines.some((line) => line.startsWith('delete table ') && line.split(' ')[3] === name)) gone();
  });
  return { close: () => child.kill() };
}
