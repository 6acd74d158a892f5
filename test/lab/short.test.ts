// The part of the lab that belongs to every run of the tests: one boot, containers on cgroup version 2 under systemd.

import { CONTAINER_IMAGE, labSuite, release } from './suite.ts';

labSuite({
  release: release('debian-12'),
  ...{ kind: CONTAINER_IMAGE, kvm: false, memory: '2G' },
  scenarios: ['unit', 'groups'],
});
