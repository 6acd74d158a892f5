import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createContainerDriver } from '../../src/drivers/container/index.ts';
import { instanceSuite } from './instance-suite.ts';

const shimPath = fileURLToPath(new URL('../../build/bin/berth-shim', import.meta.url));

instanceSuite({
  name: 'container',
  makeDriver: (root) => createContainerDriver({ shimPath, stateDir: join(root, 'state') }),
  gaps: {},
  timeoutMs: 20_000,
  memoryLimitBytes: 64 << 20,
});
