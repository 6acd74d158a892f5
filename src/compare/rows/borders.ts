// Rows on isolation and portability: evidence, not opinion.

import { type SectionPlan, WITH_HOST } from './plan.ts';

export const isolation: SectionPlan = {
  id: 'isolation',
  title: 'Isolation',
  about: 'Evidence looked up from inside as root, and from outside in /proc; nothing taken from a manual.',
  rows: [
    {
      id: 'isolation.kernel',
      label: 'kernel',
      unit: 'count',
      method: 'uname and boot id, read inside and outside',
      columns: WITH_HOST,
    },
    {
      id: 'isolation.processes',
      label: 'processes visible',
      unit: 'count',
      method:
        'entries of /proc; a process of the host with a random word in its arguments was looked for by that word',
      columns: WITH_HOST,
    },
    {
      id: 'isolation.devices',
      label: 'disks visible / readable',
      unit: 'count',
      method: '/sys/block; for each a device node was made and opened for reading',
      columns: WITH_HOST,
    },
    {
      id: 'isolation.nodes',
      label: 'device nodes in /dev',
      unit: 'count',
      method: 'character and block devices in /dev',
      columns: WITH_HOST,
    },
    {
      id: 'isolation.capabilities',
      label: 'capabilities of its root',
      unit: 'count',
      method: 'CapEff of the program run as root, decoded',
      columns: WITH_HOST,
    },
    {
      id: 'isolation.syscalls',
      label: 'system calls admitted inside',
      unit: 'count',
      method:
        'each call tried inside behind a listener of our own (SECCOMP_RET_USER_NOTIF), so that none was executed',
      columns: WITH_HOST,
    },
    {
      id: 'isolation.host-syscalls',
      label: 'host system calls in reach',
      unit: 'count',
      method:
        'seccomp filters of the process that faces the host’s kernel (the workload itself, or the VM’s monitor), read by ptrace and evaluated for each call with arguments 0',
    },
    {
      id: 'isolation.new-privileges',
      label: 'can gain privileges by exec',
      unit: 'count',
      method: 'NoNewPrivs in /proc/self/status',
      columns: WITH_HOST,
    },
    {
      id: 'isolation.sysctls',
      label: 'kernel settings writable',
      unit: 'count',
      method: 'files below /proc/sys that access(2) would let root write',
      columns: WITH_HOST,
    },
    {
      id: 'isolation.memory-file',
      label: 'kernel memory (/proc/kcore)',
      unit: 'count',
      method: 'opened for reading',
      columns: WITH_HOST,
    },
    {
      id: 'isolation.sysrq',
      label: 'panic trigger (sysrq-trigger)',
      unit: 'count',
      method: 'opened for writing, nothing written',
      columns: WITH_HOST,
    },
    {
      id: 'isolation.outside',
      label: 'what it is on the host',
      unit: 'count',
      method:
        'user, capabilities, seccomp and NoNewPrivs in /proc/PID/status of the workload, or of the VM’s monitor',
    },
    {
      id: 'isolation.panic',
      label: 'a kernel panic inside reaches',
      unit: 'count',
      method:
        'VM: a throw-away guest was panicked on purpose, host and a second guest checked; container: never done, told from which kernel it runs on',
    },
  ],
};

export const portability: SectionPlan = {
  id: 'portability',
  title: 'Portability',
  about: 'What the image needs to run somewhere else.',
  rows: [
    {
      id: 'portability.image',
      label: 'image format',
      unit: 'count',
      method: 'media types of the stored layers',
    },
    {
      id: 'portability.digest',
      label: 'digest',
      unit: 'count',
      method: 'sha256 of the manifest: both isolations start from these bytes',
    },
    {
      id: 'portability.platform',
      label: 'platform of the image',
      unit: 'count',
      method: 'the image’s configuration against this host’s architecture',
    },
    {
      id: 'portability.runs',
      label: 'platform it runs here',
      unit: 'count',
      method: 'machine that uname tells inside; images of other architectures were not tried',
    },
    {
      id: 'portability.needs',
      label: 'needs of a host',
      unit: 'count',
      method: 'probes of the driver that use each feature on this host',
    },
    {
      id: 'portability.kernel',
      label: 'depends on the host’s kernel',
      unit: 'count',
      method: 'release that the workload meets, from the row “kernel”',
    },
  ],
};
