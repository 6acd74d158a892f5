// The flags that `stop` and `restart` share.

import type { StopRequest } from '../../sdk/containers.ts';
import type { FlagSpecs, FlagValues } from '../flags.ts';

export const STOP_FLAGS = {
  signal: { kind: 'string', short: 's', help: 'Signal that asks it to stop' },
  timeout: { kind: 'int', short: 't', help: 'Seconds to wait before it is killed; -1 waits for ever' },
  time: { kind: 'int', help: 'Older name of --timeout', hidden: true },
} as const satisfies FlagSpecs;

export function stopRequest(flags: FlagValues<typeof STOP_FLAGS>): StopRequest {
  const timeoutSeconds = flags.timeout ?? flags.time;
  return {
    ...(flags.signal === undefined ? {} : { signal: flags.signal }),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
  };
}
