// Rows on what an instance holds, what is stored for it, and how many fit.

import type { SectionPlan } from './plan.ts';

export const resources: SectionPlan = {
  id: 'resources',
  title: 'Resource use when idle',
  about: 'What one instance of the image holds and uses on the host while its program waits.',
  rows: [
    {
      id: 'resources.seen',
      label: 'processors / memory seen inside',
      unit: 'count',
      method: 'sysconf inside: processors online and physical pages; no limit was set',
    },
    {
      id: 'memory.instance',
      label: 'memory held',
      unit: 'bytes',
      better: 'lower',
      method:
        'sum of Pss in /proc/PID/smaps_rollup over the instance’s processes: a container’s own, a VM’s monitor and helpers',
    },
    {
      id: 'memory.shim',
      label: 'its supervisor (shim)',
      unit: 'bytes',
      better: 'lower',
      method: 'Pss of the one process that supervises the instance',
    },
    {
      id: 'memory.next',
      label: 'each further instance',
      unit: 'bytes',
      better: 'lower',
      method:
        'Pss of two idle instances with their shims, minus that of one: what they share is counted once',
    },
    {
      id: 'memory.group',
      label: 'charged to its control group',
      unit: 'bytes',
      better: 'lower',
      method: 'usage of the memory controller: page cache and kernel memory included',
    },
    {
      id: 'cpu.idle',
      label: 'processor when idle',
      unit: 'percent',
      better: 'lower',
      method:
        'scheduler’s run time of all threads of the instance and its shim over 3 s, in percent of one processor',
    },
    {
      id: 'disk.instance',
      label: 'disk, this instance',
      unit: 'bytes',
      better: 'lower',
      method:
        'allocated blocks of the instance’s folder; its writable layer with the workbench program (88 KiB) included',
    },
    {
      id: 'disk.image',
      label: 'disk, shared by all of the image',
      unit: 'bytes',
      better: 'lower',
      method:
        'allocated blocks made from the image: unpacked layers (container), the read-only disk made of them (VM)',
    },
  ],
};

export const size: SectionPlan = {
  id: 'size',
  title: 'Size',
  about: 'What is transferred and stored, and what a VM adds to it.',
  rows: [
    {
      id: 'size.compressed',
      label: 'image as transferred',
      unit: 'bytes',
      better: 'lower',
      method: 'sum of the layers’ blobs as stored',
    },
    {
      id: 'size.unpacked',
      label: 'image unpacked',
      unit: 'bytes',
      better: 'lower',
      method: 'sum of the sizes of the files in the layers',
    },
    {
      id: 'size.kernel',
      label: 'kernel, shared by all',
      onlyVm: true,
      unit: 'bytes',
      better: 'lower',
      method: 'file that the monitor was started with',
    },
    {
      id: 'size.initrd',
      label: 'first file system, shared by all',
      onlyVm: true,
      unit: 'bytes',
      better: 'lower',
      method: 'file that the monitor was started with: agent and modules',
    },
    {
      id: 'size.disk',
      label: 'read-only disk, shared per image',
      onlyVm: true,
      unit: 'bytes',
      better: 'lower',
      method: 'allocated blocks of the disk that the monitor holds open',
    },
    {
      id: 'size.writable',
      label: 'writable disk per instance',
      unit: 'bytes',
      better: 'lower',
      method: 'allocated blocks of the disk in the instance’s folder',
    },
  ],
};

export const density: SectionPlan = {
  id: 'density',
  title: 'Density',
  about:
    'How many idle instances this host’s free memory would hold. Memory only: other limits may come first.',
  rows: [
    {
      id: 'density.idle',
      label: 'idle instances',
      unit: 'count',
      better: 'higher',
      method:
        'MemAvailable divided by the larger of “each further instance” and “charged to its control group”, rounded down',
    },
  ],
};
