// The scenarios of the lab's machines: files of tests, most of which run on every host. Each scenario is one test.

export interface Scenario {
  readonly name: string;
  /** A sentence about what holds. */
  readonly title: string;
  readonly files: readonly string[];
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'unit',
    title:
      'workloads live in a group that systemd delegated, through an upgrade of the daemon, until their unit is stopped',
    files: ['test/lab/inside/unit.test.ts'],
  },
  {
    name: 'groups',
    title: 'statistics, pause and death for want of memory are those of cgroup version 2',
    files: ['test/lab/inside/groups.test.ts'],
  },
  {
    name: 'limits',
    title: 'every limit of a container holds in cgroup version 2',
    files: ['test/integration/container-limits.test.ts'],
  },
  {
    name: 'firewalls',
    title: 'firewalld and ufw let pass what is for workloads, and hold everything else',
    files: ['test/lab/inside/firewalls.test.ts', 'test/integration/firewall-others.test.ts'],
  },
  {
    name: 'kvm',
    title: 'virtual machines run, fork, wait, are saved, share and panic on KVM',
    files: ['test/lab/inside/kvm.test.ts'],
  },
  {
    name: 'machines',
    title: 'virtual machines live, end and are limited on KVM as anywhere',
    files: ['test/integration/vm-life.test.ts', 'test/integration/update-limits.test.ts'],
  },
  {
    name: 'containers',
    title: 'containers do all that the conformance suite asks for',
    files: ['test/conformance/container.test.ts'],
  },
];
