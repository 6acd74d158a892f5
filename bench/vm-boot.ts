// How long a VM takes from its start to the exit code of `true`, against QEMU alone booting the same kernel into an
// initial file system whose only program switches the machine off.
// Usage: node bench/vm-boot.ts [rounds]

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stdout } from 'node:process';
import { encodeCpio } from '../src/formats/cpio.ts';
import { run } from '../src/host/index.ts';
import { findKernel, machineArguments, prepareKernel } from '../src/qemu/index.ts';
import { openVmLab, runToEnd, type VmLab, vmPaths } from '../test/fixtures/vm.ts';
import { heading, hostClass, interleave, median, promise, timesTable, type Variant } from './harness.ts';

const COLD = { 'berth.boot': 'cold' };
const QEMU = 'qemu-system-x86_64';
const INIT = '#!/bin/busybox sh\nexec /bin/busybox poweroff -f\n';

/** Busybox and a script that switches off at once. */
async function makeInitrd(path: string): Promise<void> {
  const busybox = await readFile('/bin/busybox');
  const entries = [
    { path: 'dev', mode: 0o40755 },
    { path: 'dev/console', mode: 0o20600, device: { major: 5, minor: 1 } },
    { path: 'bin', mode: 0o40755 },
    { path: 'bin/busybox', mode: 0o100755, data: busybox },
    { path: 'init', mode: 0o100755, data: Buffer.from(INIT) },
  ];
  await writeFile(path, encodeCpio(entries));
}

/** Berth's own kernel command line, so that the comparison is with the quickest bare boot we know of. */
async function ownCommandLine(lab: VmLab): Promise<string> {
  const cached = JSON.parse(await readFile(join(lab.cacheDir, 'accelerator.json'), 'utf8')) as {
    verdict: { tscKhz?: number };
  };
  const args = machineArguments({
    ...{ accelerator: 'tcg', memoryBytes: 256 << 20, cpus: 1, nics: 0, directKernel: true, shares: false },
    ...{ ephemeral: true, name: 'bench', ...cached.verdict },
  });
  return args[args.indexOf('-append') + 1] ?? '';
}

const COMMON = [
  '-nodefaults',
  '-no-user-config',
  '-display',
  'none',
  '-no-reboot',
  '-cpu',
  'max',
  '-m',
  '256',
];

function bare(name: string, args: readonly string[], initrd: string): Variant {
  return {
    name,
    run: async () => {
      const start = performance.now();
      await run(QEMU, [...COMMON, '-accel', 'tcg', '-serial', 'null', '-initrd', initrd, ...args], {
        timeoutMs: 60_000,
      });
      return performance.now() - start;
    },
  };
}

function berth(name: string, lab: VmLab, ephemeral: boolean): Variant {
  return {
    name,
    run: async () => {
      const vm = await lab.create(['true'], { ephemeral, annotations: COLD });
      const start = performance.now();
      await vm.start();
      const { code } = await vm.wait();
      const elapsed = performance.now() - start;
      if (code !== 0) throw new Error(`true ended with ${code}`);
      await vm.remove();
      return elapsed;
    },
  };
}

const rounds = Number(process.argv[2] ?? 7);
const work = await mkdtemp(join(tmpdir(), 'berth-bench-vm-'));
await using lab = await openVmLab();
try {
  await mkdir(join(work, 'kernel'));
  const kernel = await findKernel(vmPaths.kernelDir);
  const prepared = await prepareKernel(kernel, join(work, 'kernel'));
  const initrd = join(work, 'initrd');
  await makeInitrd(initrd);
  await runToEnd(await lab.create(['true'], { annotations: COLD }));
  const packed = join(kernel.folder, 'vmlinuz');
  const tuned = await ownCommandLine(lab);
  const plainArgs = ['-machine', 'q35', '-kernel', packed, '-append', 'console=ttyS0 quiet panic=-1'];
  const tunedArgs = ['-machine', 'q35', '-bios', 'qboot.rom', '-kernel', prepared.path, '-append', tuned];
  const samples = await interleave(
    [
      bare('bare QEMU', plainArgs, initrd),
      bare('bare QEMU, tuned as Berth', tunedArgs, initrd),
      berth('Berth VM', lab, false),
      berth('Berth VM, --rm', lab, true),
    ],
    rounds,
    1,
  );
  const of = (name: string) => median(samples.find((sample) => sample.name === name)?.timesMs ?? []);
  stdout.write(heading('VM cold boot to the exit code of `true`', 'npm run bench -- vm-boot'));
  stdout.write(`${hostClass()}- guest kernel ${kernel.version}, 256 MiB, 1 vCPU, emulated (TCG)\n\n`);
  stdout.write(`${timesTable(samples, 'bare QEMU')}\n`);
  stdout.write(promise('at most 1.5 times a bare QEMU boot', of('Berth VM') / of('bare QEMU'), 1.5, false));
  const strict = of('Berth VM') / of('bare QEMU, tuned as Berth');
  stdout.write(promise('at most 1.5 times a bare boot tuned as Berth tunes it', strict, 1.5, false));
} finally {
  await rm(work, { recursive: true, force: true });
}
