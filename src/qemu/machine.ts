// A machine as data, and the QEMU command line for it. Everything QEMU uses is an open file descriptor that the shim
// hands it: it runs as an unprivileged user that may open nothing of Berth's by name.

export type Accelerator = 'kvm' | 'tcg';

/** Descriptor numbers agreed between this command line and the shim, which opens them (shim/vm.h). */
export const MACHINE_FD = {
  link: 10,
  qmp: 11,
  console: 12,
  kernel: 13,
  initrd: 14,
  image: 15,
  writable: 16,
  shares: 17,
  memory: 18,
  state: 19,
  nic: 20,
} as const;

/** Of the disks that a template has in place of real ones; an image's disk must not be larger. */
export const PLACEHOLDER_IMAGE_BYTES = 64 * 2 ** 30;

/** Interfaces that a machine has where the host can plug them in; one more would cost every start. */
export const NICS = 2;

export interface Machine {
  readonly accelerator: Accelerator;
  readonly memoryBytes: number;
  readonly cpus: number;
  /** Entered directly as an ELF file, without a BIOS that looks for disks. */
  readonly directKernel: boolean;
  /** The host's time stamp counter: a guest under TCG sees that very counter and need not measure it. */
  readonly tscKhz?: number;
  /** Whether folders of the host are shared. */
  readonly shares: boolean;
  /** The writable disk need not survive a failure of the host: nothing is flushed to its disk. */
  readonly ephemeral: boolean;
  /** Network interfaces; each ends in a tap that the shim opens. */
  readonly nics: number;
  /** Shown in the process list. */
  readonly name: string;
  /** A template boots with placeholders for disks, to be saved; a fork begins where it was saved, with real disks. */
  readonly origin?: { readonly kind: 'template'; readonly writableBytes: number } | { readonly kind: 'fork' };
  /** Appended to the kernel's command line. */
  readonly kernelArguments?: string;
}

/** Guest memory below this does not boot. */
export const MIN_MEMORY_BYTES = 96 << 20;

const DISABLED = ['usb=off', 'sata=off', 'smbus=off', 'i8042=off', 'vmport=off', 'hpet=off', 'graphics=off'];

/** The arguments after `qemu-system-x86_64`. Pure. */
export function machineArguments(machine: Machine): string[] {
  const memoryMiB = Math.floor(machine.memoryBytes / (1 << 20));
  return [
    ...['-name', machine.name, '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-accel', machine.accelerator === 'tcg' ? 'tcg,thread=multi,tb-size=64' : 'kvm'],
    ...['-machine', ['q35', ...DISABLED, 'memory-backend=memory', 'suppress-vmdesc=on'].join(',')],
    ...[
      '-cpu',
      machine.accelerator === 'tcg' ? 'max' : 'host',
      '-smp',
      `${machine.cpus}`,
      '-m',
      `${memoryMiB}M`,
    ],
    ...(machine.directKernel ? ['-bios', 'qboot.rom'] : []),
    ...['-kernel', `/proc/self/fd/${MACHINE_FD.kernel}`, '-initrd', `/proc/self/fd/${MACHINE_FD.initrd}`],
    ...['-append', kernelCommandLine(machine)],
    ...serialPorts(),
    ...disks(machine),
    ...networkInterfaces(machine.nics),
    ...(machine.shares ? sharedFolders(memoryMiB) : memoryFile(machine, memoryMiB)),
    // What is saved is the devices' state alone, without a description of the machine.
    ...(machine.origin?.kind === 'fork'
      ? ['-incoming', 'defer', '-global', 'migration.send-configuration=off']
      : []),
  ];
}

/**
 * A machine that boots writes to the file that is its memory, so that the shim can read it; a fork sees the same file until it
 * writes, and then a copy. There is never a device that could take memory out of it (a balloon, free page reporting):
 * that would reach the file itself.
 */
function memoryFile(machine: Machine, memoryMiB: number): string[] {
  const share = machine.origin?.kind === 'fork' ? 'off' : 'on';
  const path = `/proc/self/fd/${MACHINE_FD.memory}`;
  return ['-object', `memory-backend-file,id=memory,size=${memoryMiB}M,mem-path=${path},share=${share}`];
}

function disks(machine: Machine): string[] {
  if (machine.origin?.kind === 'template')
    return [
      ...placeholder('image', 'vda', PLACEHOLDER_IMAGE_BYTES, 'read-only=on'),
      ...placeholder('writable', 'vdb', machine.origin.writableBytes, 'read-only=off'),
    ];
  return [
    ...disk('image', 'vda', MACHINE_FD.image, 'read-only=on'),
    ...disk('writable', 'vdb', MACHINE_FD.writable, writableOptions(machine)),
  ];
}

/**
 * Their addresses mean nothing: the guest is told its own. What a copy is told comes from the agent, too, so that it need
 * not be told by the device that it has moved.
 */
function networkInterfaces(count: number): string[] {
  return Array.from({ length: count }, (_, number) => [
    ...['-netdev', `tap,id=net${number},fd=${MACHINE_FD.nic + number}`],
    '-device',
    `virtio-net-pci,netdev=net${number},id=nic${number},mac=02:00:00:00:00:0${number},romfile=,guest_announce=off`,
  ]).flat();
}

function placeholder(node: string, id: string, sizeBytes: number, options: string): string[] {
  return [
    ...['-blockdev', `driver=null-co,node-name=${node},size=${sizeBytes},read-zeroes=on,${options}`],
    ...['-device', blockDevice(node, id)],
  ];
}

function serialPorts(): string[] {
  return [
    ...['-chardev', `socket,id=qmp,fd=${MACHINE_FD.qmp}`, '-mon', 'chardev=qmp,mode=control'],
    ...['-chardev', `socket,id=console,fd=${MACHINE_FD.console}`, '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=link,fd=${MACHINE_FD.link}`],
    ...['-device', 'virtio-serial-pci,id=ports,max_ports=2'],
    ...['-device', 'virtserialport,bus=ports.0,nr=1,chardev=link,name=berth.0'],
  ];
}

function writableOptions(machine: Machine): string {
  return `read-only=off,discard=unmap${machine.ephemeral ? ',cache.no-flush=on' : ''}`;
}

/** The guest is told of errors, a full disk of the host included; QEMU would stop it without a word. */
const blockDevice = (node: string, id: string) =>
  `virtio-blk-pci,drive=${node},id=${id},werror=report,rerror=report`;

/** QEMU locks its files itself: a second machine on one writable disk does not start. Each shim opens them anew. */
function disk(node: string, id: string, fd: number, options: string): string[] {
  const file = `file.driver=file,file.filename=/dev/fdset/${fd},file.locking=on`;
  return [
    ...['-add-fd', `fd=${fd},set=${fd}`],
    ...['-blockdev', `driver=raw,node-name=${node},${options},${file}`],
    ...['-device', blockDevice(node, id)],
  ];
}

function sharedFolders(memoryMiB: number): string[] {
  return [
    ...['-object', `memory-backend-memfd,id=memory,size=${memoryMiB}M,share=on`],
    ...['-chardev', `socket,id=shares,fd=${MACHINE_FD.shares}`],
    ...['-device', 'vhost-user-fs-pci,chardev=shares,tag=berth'],
  ];
}

/** Nothing here tells one guest from another: what does comes by `configure` after the boot. */
function kernelCommandLine(machine: Machine): string {
  const common = [
    'console=ttyS0 quiet loglevel=1',
    // A broken kernel ends its machine, which the shim reports; it never limps on or starts anew.
    'panic=-1 oops=panic reboot=t',
    'cryptomgr.notests random.trust_cpu=on selinux=0 apparmor=0 audit=0 nowatchdog',
    '8250.nr_uarts=1 rcupdate.rcu_expedited=1 noreplace-smp pci=lastbus=0 no_timer_check',
  ];
  const emulated = machine.accelerator === 'tcg' ? ['mitigations=off', ...knownClock(machine.tscKhz)] : [];
  const more = machine.kernelArguments === undefined ? [] : [machine.kernelArguments];
  return [...common, ...emulated, ...more].join(' ');
}

/** `tsc=reliable` without the rate would make a bad measurement of it permanent. */
function knownClock(tscKhz: number | undefined): string[] {
  return tscKhz === undefined ? [] : [`tsc=reliable tsc_early_khz=${tscKhz} lpj=${tscKhz * 4}`];
}
