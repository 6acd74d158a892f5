// Whether this host can run VMs: each thing the driver needs is used once.

import { access, constants } from 'node:fs/promises';
import { type DriverProbe, errorMessage, type Probe } from '../../core/index.ts';
import { remedyFor, run } from '../../host/index.ts';
import { type HostVerdict, VIRTIOFSD_REMEDY, type Virtiofsd } from '../../qemu/index.ts';

export interface ProbeInputs {
  readonly qemu: string;
  readonly virtiofsd: () => Promise<Virtiofsd>;
  readonly agentPath: string;
  readonly shimPath: string;
  /** The version of the kernel that guests run. */
  readonly kernel: () => Promise<string>;
  readonly accelerator: () => Promise<HostVerdict>;
}

async function check(name: string, remedy: string, look: () => Promise<string>): Promise<Probe> {
  try {
    return { name, ok: true, detail: await look() };
  } catch (error) {
    return { name, ok: false, detail: errorMessage(error), remedy: remedyFor(error, remedy) };
  }
}

async function executable(path: string): Promise<string> {
  await access(path, constants.X_OK);
  return path;
}

/** Machines without mounts do not need it. */
const SHARING = 'virtiofsd';
const INSTALL = 'run set-up again, or install the packages qemu-system-x86, erofs-utils and e2fsprogs';

/** Never throws. */
export async function probeHost(inputs: ProbeInputs): Promise<DriverProbe> {
  let verdict: HostVerdict | undefined;
  const probes = await Promise.all([
    check('qemu', INSTALL, async () => {
      const { stdout } = await run(inputs.qemu, ['--version']);
      return /version (\S+)/.exec(stdout)?.[1] ?? stdout.trim();
    }),
    check('mkfs.erofs', INSTALL, async () => {
      await run('mkfs.erofs', ['--help']);
      return 'present';
    }),
    check('mkfs.ext4', INSTALL, async () => (await run('mkfs.ext4', ['-V'])).stderr.split('\n')[0] ?? ''),
    check(
      SHARING,
      `to mount folders and volumes in VMs, run set-up again, or ${VIRTIOFSD_REMEDY}`,
      async () => {
        const { path, version } = await inputs.virtiofsd();
        return `${version} (${path})`;
      },
    ),
    check('guest agent', 'run npm run build', () => executable(inputs.agentPath)),
    check('supervisor', 'run npm run build', () => executable(inputs.shimPath)),
    check('guest kernel', 'run set-up again (npm run setup)', inputs.kernel),
    check('accelerator', 'see what is said of the guest kernel', async () => {
      verdict = await inputs.accelerator();
      return `${verdict.accelerator}: ${verdict.reason}`;
    }),
  ]);
  const found = (name: string) =>
    probes.find((probe) => probe.name === name && probe.ok)?.detail ?? 'unknown';
  return {
    usable: probes.every((probe) => probe.ok || probe.name === SHARING),
    probes,
    facts: {
      accelerator: verdict?.accelerator ?? 'unknown',
      acceleratorReason: verdict?.reason ?? 'unknown',
      kernel: found('guest kernel'),
      qemu: found('qemu'),
    },
  };
}
