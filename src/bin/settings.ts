// What the daemon is told by its environment, and where the programs are that it starts.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface Settings {
  readonly root: string;
  readonly host: string;
  readonly kernelDir: string;
  /** Folder of berth-shim, berth-agent and the other programs. */
  readonly libexec: string;
  /** Where systemd wants to hear that the daemon is ready. */
  readonly notifySocket: string | undefined;
  /** Started by a command that somebody ran: not to stay in the control group of that. */
  readonly ownGroup: boolean;
}

/** `here` is the folder of the running file: build/ when bundled, src/bin/ otherwise. */
export function readSettings(env: NodeJS.ProcessEnv, here: string): Settings {
  const passed = env['LISTEN_FDS'] === '1' && env['LISTEN_PID'] === String(process.pid);
  const libexec = [join(here, 'bin'), join(here, '../../build/bin')].find((path) => existsSync(path));
  return {
    root: env['BERTH_ROOT'] || '/var/lib/berth',
    host: passed ? 'fd://' : env['BERTH_HOST'] || 'unix:///run/berth/berth.sock',
    kernelDir: env['BERTH_KERNEL_DIR'] || '/var/lib/berth/kernel',
    libexec: env['BERTH_LIBEXEC'] || libexec || '/usr/libexec/berth',
    notifySocket: env['NOTIFY_SOCKET'],
    ownGroup: env['BERTH_ON_DEMAND'] === '1',
  };
}
