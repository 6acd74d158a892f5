// Files into and out of workloads, as tar streams.

import { once } from 'node:events';
import { posix } from 'node:path';
import type { FileStat } from '../../core/index.ts';
import type { Call } from '../http/call.ts';
import { sendEmpty, sendStream } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import type { Services } from './services.ts';

const TAR = 'application/x-tar';
const STAT_HEADER = 'X-Docker-Container-Path-Stat';

export function containerFileRoutes({ engine }: Services): readonly Route[] {
  const { workloads } = engine;
  return [
    {
      method: 'HEAD',
      path: '/containers/{}/archive',
      handle: async (call) => {
        const stat = await workloads.statPath(call.param(), pathOf(call));
        call.response.setHeader(STAT_HEADER, encodeStat(stat));
        sendEmpty(call, 200);
      },
    },
    {
      method: 'GET',
      path: '/containers/{}/archive',
      handle: async (call) => {
        const { stat, tar } = await workloads.readArchive(call.param(), pathOf(call));
        // A failure before the first byte is an ordinary refusal, with its reason.
        await once(tar, 'readable', { signal: call.signal });
        call.response.setHeader(STAT_HEADER, encodeStat(stat));
        await sendStream(call, TAR, tar);
      },
    },
    { method: 'PUT', path: '/containers/{}/archive', handle: (call) => write(workloads, call) },
    {
      method: 'GET',
      path: '/containers/{}/export',
      handle: async (call) => {
        await sendStream(call, 'application/octet-stream', await workloads.export(call.param()));
      },
    },
  ];
}

/** As Docker reads it: from the root, without `..`; a dot or slash at the end follows a link and stays. */
function pathOf(call: Call): string {
  const path = call.required('path');
  return posix.join('/', path) + (/(^|\/)\.$/.test(path) ? '/.' : '');
}

async function write(workloads: Services['engine']['workloads'], call: Call): Promise<void> {
  await workloads.writeArchive(call.param(), pathOf(call), call.request, {
    noOverwriteDirNonDir: call.flag('noOverwriteDirNonDir'),
    copyUidGid: call.flag('copyUIDGID'),
  });
  sendEmpty(call, 200);
}

function encodeStat({ name, sizeBytes, mode, mtime, linkTarget }: FileStat): string {
  return Buffer.from(JSON.stringify({ name, size: sizeBytes, mode, mtime, linkTarget })).toString('base64');
}
