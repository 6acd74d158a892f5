// Notices when somebody removes tables: `nft flush ruleset` is how other firewalls begin.

import { BerthError } from '../../core/index.ts';
import { KeptProgram, type StreamChild, spawnStream } from '../../host/index.ts';

const COMPLAINT_CHARS = 500;

export interface TableWatch {
  close(): void;
}

/**
 * Calls `gone` with the name of each table that was removed, by whomever, and `missed` when some may have been removed
 * unseen. Until `close`, one program runs that waits for the kernel's word; it does not keep this process alive. `failed` is
 * told when this nft cannot do so, as nothing is noticed then.
 */
export function watchTables(
  gone: (name: string) => void,
  missed: () => void,
  failed: (error: unknown) => void,
): TableWatch {
  return new KeptProgram(() => monitor(gone, failed), missed);
}

function monitor(gone: (name: string) => void, failed: (error: unknown) => void): StreamChild {
  // Not `monitor destroy`: nft 1.1 reads that as its command `destroy`, and ends.
  const child = spawnStream('nft', ['monitor', 'tables']);
  child.unref();
  child.stdin.on('error', () => {});
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (more: string) => {
    complaint = (complaint + more).slice(-COMPLAINT_CHARS);
  });
  child.exit.then(({ code }) => {
    if (code === null) return;
    const reason = `nft monitor tables ended (${code}): ${complaint.trim()}`;
    failed(
      new BerthError('unavailable', `removals of firewall tables are not noticed on this host: ${reason}`),
    );
  }, failed);
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
