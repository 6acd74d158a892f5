import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createContainerDriver } from '../../src/drivers/container/index.ts';
import { openLoopDisk } from '../fixtures/loop-disk.ts';
import { instanceSuite } from './instance-suite.ts';

const shimPath = fileURLToPath(new URL('../../build/bin/berth-shim', import.meta.url));

instanceSuite({
  name: 'container',
  makeDriver: (root) => createContainerDriver({ shimPath, stateDir: join(root, 'state') }),
  gaps: {},
  timeoutMs: 60_000,
  memoryLimitBytes: 64 << 20,
  openDisk: async () => {
    const disk = await openLoopDisk();
    const target = '/dev/disk';
    return {
      path: disk.path,
      write: `dd if=/dev/zero of=${target} bs=64k count=64 oflag=direct`,
      read: `dd if=${target} of=/dev/null bs=64k count=64 iflag=direct`,
      writeOften: `dd if=/dev/zero of=${target} bs=64k count=16 oflag=direct`,
      change: { devices: [{ hostPath: disk.path, path: target, permissions: 'rwm' }] },
      [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
    };
  },
});
