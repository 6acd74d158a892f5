import { join } from 'node:path';
import type { Driver, InstanceSpec } from '../../src/core/index.ts';
import { createVmDriver } from '../../src/drivers/vm/index.ts';
import { accelerator, seedVmCache, vmPaths } from '../fixtures/vm-cache.ts';
import { instanceSuite } from './instance-suite.ts';

/** Whatever can be a fork of a template is one; a machine that shares folders of the host cannot. */
function forking(driver: Driver): Driver {
  const forked = (spec: InstanceSpec): InstanceSpec =>
    spec.mounts.some((mount) => mount.type === 'bind')
      ? spec
      : { ...spec, annotations: { ...spec.annotations, 'berth.boot': 'fork' } };
  return {
    name: driver.name,
    probe: () => driver.probe(),
    create: (spec, signal) => driver.create(forked(spec), signal),
    adopt: (spec, signal) => driver.adopt(forked(spec), signal),
    supervisor: (dir) => driver.supervisor(dir),
    end: (spec, status) => driver.end(spec, status),
    close: async () => driver.close?.(),
  };
}

instanceSuite({
  name: 'vm',
  // Whether KVM works is another test's question, and answering it takes seconds.
  makeDriver: async (root) => {
    const cacheDir = join(root, 'vm');
    await seedVmCache(cacheDir);
    return forking(createVmDriver({ ...vmPaths, cacheDir, ...accelerator(root) }));
  },
  gaps: {
    "shares the network of another's process": 'a guest has a network stack of its own',
    'goes on with a transfer when it is started meanwhile':
      'only one machine at a time may have the writable disk: a start ends the one that was booted for the transfer, which fails with `unavailable`',
  },
  timeoutMs: 90_000,
  memoryLimitBytes: 128 << 20,
  openDisk: async () => ({
    path: '/dev/vdb',
    change: {},
    write: 'dd if=/dev/zero of=/blocks bs=64k count=64 oflag=direct',
    read: 'dd if=/blocks of=/dev/null bs=64k count=64 iflag=direct',
    writeOften: 'dd if=/dev/zero of=/blocks bs=64k count=16 oflag=direct',
    [Symbol.asyncDispose]: async () => {},
  }),
});
