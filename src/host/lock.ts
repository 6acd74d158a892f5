// Locks between processes. The kernel drops one when its holder dies, however it dies.

import { open } from 'node:fs/promises';
import { BerthError } from '../core/index.ts';
import { spawnDetached } from './process.ts';

/**
 * Takes an exclusive lock on the file (made if absent) and holds it until disposed or this process ends. Fails with
 * `conflict` at once when someone else holds it. Node has no flock(2): util-linux's flock takes the lock on our
 * open file description, which it shares with us, and exits; children do not inherit the descriptor.
 */
export async function lockFile(path: string): Promise<AsyncDisposable> {
  const file = await open(path, 'a', 0o600);
  try {
    const child = spawnDetached('flock', ['--exclusive', '--nonblock', '3'], {
      extra: [file.fd],
      keepAlive: true,
    });
    const { code } = await child.exit;
    if (code === 1) throw new BerthError('conflict', `${path} is locked by another process`);
    if (code !== 0) throw new BerthError('internal', `cannot lock ${path}: flock exited with ${code}`);
  } catch (error) {
    await file.close();
    throw error;
  }
  return { [Symbol.asyncDispose]: () => file.close() };
}
