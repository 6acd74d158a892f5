#!/usr/bin/env node
// The daemon: one engine with its drivers and images under one root, served over HTTP until it is told to end.

import { join } from 'node:path';
import { createCompare } from '../compare/index.ts';
import { createContainerDriver } from '../drivers/container/index.ts';
import { createVmDriver } from '../drivers/vm/index.ts';
import { ConfigStore, type Engine, openEngine } from '../engine/index.ts';
import { openImageStore } from '../images/index.ts';
import { runDaemon } from '../server/index.ts';
import { readSettings } from './settings.ts';
import { VERSION } from './version.ts';

const settings = readSettings(process.env, import.meta.dirname);
const { root, kernelDir } = settings;
const program = (name: string) => join(settings.libexec, name);
const [shimPath, unpackPath] = [program('berth-shim'), program('berth-unpack')];

const status = await runDaemon({ ...settings, version: VERSION }, async (log) => {
  let engine: Engine | undefined;
  const config = await ConfigStore.open(root);
  const images = await openImageStore({
    root: join(root, 'images'),
    unpackPath,
    inUse: () => engine?.imagesInUse() ?? new Map(),
  });
  const drivers = [
    createContainerDriver({ shimPath, stateDir: root }),
    createVmDriver({
      ...{ shimPath, agentPath: program('berth-agent'), config: () => config.get() },
      ...{ kernelDir, verdictDir: kernelDir, cacheDir: join(root, 'vm') },
    }),
  ];
  const parts = { images, drivers, shimPath, unpackPath, log, config: () => config.get() };
  engine = await openEngine({ ...settings, ...parts });
  const compared = { engine, images, benchPath: program('berth-bench'), stateDir: root };
  return { engine, images, compare: createCompare(compared), config };
});
// Supervisors that we are still connected to go on without us.
process.exit(status);
