// Rows on speed: of deploying, and of work inside.

import { type RowPlan, type SectionPlan, WITH_HOST } from './plan.ts';

export const deploy: SectionPlan = {
  id: 'deploy',
  title: 'Deployment speed',
  about: 'How long it takes until the workload is there, has spoken, has ended and is gone.',
  rows: [
    {
      id: 'deploy.create',
      label: 'create',
      unit: 'ms',
      better: 'lower',
      method: 'call of create until it returns: everything prepared, nothing started',
    },
    {
      id: 'deploy.first-output',
      label: 'start to first output',
      unit: 'ms',
      better: 'lower',
      method: 'attached and started, until the first byte of the command’s output arrives',
    },
    {
      id: 'deploy.exit',
      label: 'start to exit',
      unit: 'ms',
      better: 'lower',
      method: 'attached and started, until the exit code of the command is known',
    },
    {
      id: 'deploy.exit-cold',
      label: 'start to exit, booted cold',
      unit: 'ms',
      better: 'lower',
      method: 'the same of a VM that was not forked but booted (--boot cold)',
      onlyVm: true,
    },
    {
      id: 'deploy.exit-pool',
      label: 'start to exit, from pool',
      unit: 'ms',
      better: 'lower',
      method: 'the same of a VM that had waited for it (--boot pool); taken last, one after the other',
      onlyVm: true,
    },
    {
      id: 'deploy.exec',
      label: 'one more process',
      unit: 'ms',
      better: 'lower',
      method: 'exec of a program that does nothing in a running instance, call until exit code',
    },
    {
      id: 'deploy.stop',
      label: 'stop',
      unit: 'ms',
      better: 'lower',
      method: 'SIGTERM to a program that ends on it, call of stop until its exit is known',
    },
    {
      id: 'deploy.remove',
      label: 'remove',
      unit: 'ms',
      better: 'lower',
      method: 'call of remove until it returns',
    },
    {
      id: 'deploy.total',
      label: 'create, run, remove',
      unit: 'ms',
      better: 'lower',
      method: 'sum of create, start to exit and remove of the same run',
    },
  ],
};

const job = (name: string, label: string, method: string): RowPlan => ({
  id: `work.${name}`,
  label,
  unit: 'ms',
  better: 'lower',
  method: `${method}; by the clock inside; on the host in a control group of its own, as instances are`,
  columns: WITH_HOST,
});

export const work: SectionPlan = {
  id: 'work',
  title: 'Work inside',
  about:
    'The same fixed jobs on the host, in the container and in the VM: one static program, put into each.',
  rows: [
    job('cpu', 'computing', '30 million rounds of 64-bit integer arithmetic'),
    job('syscall', 'system calls', '100 000 getppid, then 10 000 times open, fstat and close of /'),
    job('disk', 'writing to disk', '32 MiB written and flushed, then 32 writes of 4 KiB, each flushed'),
    job('pipe', 'two processes by pipe', '2000 bytes there and back one by one, then 16 MiB'),
    job('loopback', 'two processes by TCP', 'the same over 127.0.0.1'),
    {
      id: 'work.clock',
      label: 'clock inside against the host’s',
      unit: 'ratio',
      method:
        'duration of the computing job by its own clock, divided by the time between its two messages on the host; 1 is right',
    },
  ],
};
