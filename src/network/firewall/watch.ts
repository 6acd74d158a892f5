// Notices when somebody removes tables: `nft flush ruleset` is how other firewalls begin.

import { KeptProgram, type StreamChild, spawnStream } from '../../host/index.ts';

export interface TableWatch {
  close(): void;
}

/**
 * Calls `gone` with the name of each table that was removed, by whomever, and `missed` when some may have been removed
 * unseen. Until `close`, one program runs that waits for the kernel's word; it does not keep this process alive. Without
 * nft nothing is noticed.
 */
export function watchTables(gone: (name: string) => void, missed: () => void): TableWatch {
  return new KeptProgram(() => monitor(gone), missed);
}

function monitor(gone: (name: string) => void): StreamChild {
  const child = spawnStream('nft', ['monitor', 'destroy', 'tables']);
  child.unref();
  child.stdin.on('error', () => {});
  child.stderr.resume();
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    const lines = (text + more).split('\n');
    text = lines.pop() ?? '';
    // delete table inet berth
    const names = lines
      .filter((line) => line.startsWith('delete table '))
      .map((line) => line.split(' ')[3] ?? '');
    for (const name of new Set(names)) gone(name);
  });
  return child;
}
