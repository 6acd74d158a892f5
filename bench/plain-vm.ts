// QEMU alone with a tap on an ordinary bridge, as anyone would set it up, and beside it on the bridge a namespace with a
// veth pair in place of a container. Kernel, accelerator, memory and virtio device are those of Berth's machines, and both
// ends are in control groups of the same shape, so that they get as much of a busy machine; there is no firewall, no
// connection tracking and no isolation of ports.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CpioEntry, encodeCpio } from '../src/formats/cpio.ts';
import { addToCgroup, cgroupFolder, createCgroup, removeCgroup } from '../src/host/index.ts';
import { findKernel, machineArguments, prepareInitrd, prepareKernel } from '../src/qemu/index.ts';
import { Host } from '../test/fixtures/network-lab.ts';
import { vmPaths } from '../test/fixtures/vm.ts';
import { iperfFiles } from './iperf.ts';

export const PLAIN_VM = '10.77.0.2';
const CLIENT = '10.77.0.3';
const BRIDGE = 'plain0';
const GROUP = `/berth-bench-plain-${process.pid}`;
const VM_GROUP = `${GROUP}/vm`;
const CLIENT_GROUP = `${GROUP}/client`;
/** Runs the rest of its arguments in the group of its first. */
const IN_GROUP = 'echo $$ > "$0" && exec "$@"';

const INIT = `#!/bin/busybox sh
set -- /bin/busybox
$1 mkdir -p /proc /tmp
$1 mount -t proc proc /proc
$1 mount -t devtmpfs dev /dev
for module in $($1 cat /modules/link /modules/network); do $1 insmod $module; done
$1 ip link set lo up
$1 ip addr add ${PLAIN_VM}/24 dev eth0
$1 ip link set eth0 up
echo ready
exec /usr/bin/iperf3 -s > /dev/null
`;

/** The modules of Berth's own initial file system, with another program to start and iperf3. */
async function makeInitrd(path: string, base: string): Promise<void> {
  const folders = ['bin', 'lib', 'lib/x86_64-linux-gnu', 'lib64', 'usr', 'usr/bin'];
  const files = ['/bin/busybox', ...iperfFiles()];
  const entries: CpioEntry[] = [
    ...folders.map((folder) => ({ path: folder, mode: 0o40755 })),
    ...files.map((file) => ({ path: file.slice(1), mode: 0o100755, data: readFileSync(file) })),
    { path: 'init', mode: 0o100755, data: Buffer.from(INIT) },
  ];
  writeFileSync(path, Buffer.concat([readFileSync(base), encodeCpio(entries)]));
}

function ip(line: string): void {
  execFileSync('ip', line.split(' '));
}

export interface PlainVm extends AsyncDisposable {
  /** Runs a program in place of a container on the same bridge. */
  run(...command: readonly string[]): string;
}

/** Resolves when its server of iperf3 is about to listen. */
export async function startPlainVm(folder: string, memoryMiB: number): Promise<PlainVm> {
  const kernel = await findKernel(vmPaths.kernelDir);
  const prepared = await prepareKernel(kernel, folder);
  const initrd = join(folder, 'plain-initrd');
  await makeInitrd(initrd, await prepareInitrd(kernel, vmPaths.agentPath, folder));
  ip(`link add ${BRIDGE} type bridge`);
  ip(`link set ${BRIDGE} up`);
  ip('tuntap add plain-tap mode tap vnet_hdr');
  ip(`link set plain-tap master ${BRIDGE} up`);
  const host = await Host.open();
  ip(`link add plain-veth master ${BRIDGE} type veth peer name eth0 netns ${host.pid}`);
  ip('link set plain-veth up');
  host.run('ip', 'addr', 'add', `${CLIENT}/24`, 'dev', 'eth0');
  host.run('ip', 'link', 'set', 'eth0', 'up');
  for (const group of [VM_GROUP, CLIENT_GROUP]) await createCgroup(group, ['cpu']);
  const client = join(cgroupFolder(CLIENT_GROUP, 'cpu') ?? '', 'cgroup.procs');
  const qemu = await boot(prepared.path, initrd, memoryMiB);
  return {
    run: (...command) => host.run('sh', '-c', IN_GROUP, client, ...command),
    [Symbol.asyncDispose]: async () => {
      const gone = once(qemu, 'exit');
      qemu.kill('SIGKILL');
      await gone;
      await removeCgroup(GROUP);
      host.close();
      ip('link del plain-tap');
      ip(`link del ${BRIDGE}`);
    },
  };
}

async function boot(kernel: string, initrd: string, memoryMiB: number): Promise<ChildProcess> {
  const own = machineArguments({
    ...{ accelerator: 'tcg', memoryBytes: memoryMiB << 20, cpus: 1, nics: 0, directKernel: true },
    ...{ shares: false, ephemeral: true, name: 'plain' },
  });
  const after = (option: string): string => own[own.indexOf(option) + 1] ?? '';
  const args = [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-machine', 'q35'],
    ...['-accel', after('-accel'), '-cpu', after('-cpu'), '-smp', '1', '-m', `${memoryMiB}M`],
    ...['-bios', 'qboot.rom', '-kernel', kernel, '-initrd', initrd, '-append', after('-append')],
    ...['-serial', 'stdio', '-netdev', 'tap,id=net0,ifname=plain-tap,script=no,downscript=no'],
    ...['-device', 'virtio-net-pci,netdev=net0,romfile='],
  ];
  const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await addToCgroup(VM_GROUP, qemu.pid ?? 0);
  let seen = '';
  for await (const text of qemu.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    seen += text;
    if (/ready/.test(seen)) {
      qemu.stdout.resume();
      return qemu;
    }
  }
  throw new Error(`a plain QEMU did not boot: ${seen}`);
}
