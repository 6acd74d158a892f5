import { labSuite, release, WHOLE, WHOLE_IMAGE } from './suite.ts';

labSuite({ release: release('debian-13'), kind: WHOLE_IMAGE, kvm: true, memory: '4G', scenarios: WHOLE });
